// Starts every small behaviour; each lives in its own module and is bound by a data attribute.
import "./theme-toggle.js";
import "./time-zone.js";
import "./autosave.js";
import "./editor.js";
import "./preview.js";
import "./confirm.js";
import "./upload.js";
import "./filter-choices.js";
import "./choose.js";
import "./inline-edit.js";
import "./copy.js";
import "./rows.js";
import "./search-menu.js";
import "./suggest-many.js";
import "./first-problem.js";
import "./half-typed.js";
import "./no-year.js";

// Starts every small behaviour; each lives in its own module and is bound by a data attribute.
import "./theme-toggle.js";
import "./time-zone.js";
import "./autosave.js";
import "./editor.js";
import "./preview.js";
import "./confirm.js";
import "./suggest-many.js";

// A number or date that the browser cannot read is sent as an empty one, which would wipe what is stored. Also where
// the server says what is wrong (form[novalidate]), such a form stays, and the browser says which field it means.
document.addEventListener(
  "submit",
  (event) => {
    if (event.submitter?.formNoValidate) return;
    const unread = [...event.target.elements].find((each) => each.validity?.badInput);
    if (!unread) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    unread.reportValidity();
  },
  true,
);

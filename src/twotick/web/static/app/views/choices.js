/** What the user has chosen for this browser: the colours and the language. It holds no secret. */

/**
 * @param {string} name
 * @returns {string} empty for what the system says
 */
export function chosen(name) {
  try {
    return localStorage.getItem(`twotick.${name}`) ?? "";
  } catch {
    return ""; // the browser does not let the page keep anything
  }
}

/**
 * @param {string} name
 * @param {string} value
 */
export function choose(name, value) {
  try {
    localStorage.setItem(`twotick.${name}`, value);
  } catch {
    // It holds until the page is closed.
  }
  apply();
}

/** Give the page the colours that the user has chosen. */
export function apply() {
  const theme = chosen("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

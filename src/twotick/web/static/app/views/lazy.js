/** Parts of the page that are loaded when they are shown for the first time. */
import { useEffect, useState } from "../../vendor/preact.js";

/**
 * Return a module; null until it is loaded.
 * @template T
 * @param {boolean} wanted
 * @param {() => Promise<T>} load
 * @returns {T | null}
 */
export function useModule(wanted, load) {
  const [found, setFound] = useState(/** @type {T | null} */ (null));
  useEffect(() => {
    // If it cannot be loaded, what needs it is missing until the page is opened again.
    if (wanted) load().then((each) => setFound(() => each), console.warn);
  }, [wanted]);
  return found;
}

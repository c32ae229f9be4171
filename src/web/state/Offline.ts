/**
 * Has the browser keep the shell of the page (worker.js), so that it can be installed, and opens while its node is
 * stopped. Where a browser has no such workers, or is told not to use them, the page is the same without.
 */

/** Where the worker is: under the top, since it may only answer for what is below it. */
const script = "/sw.js"

/** What names scripts where the content policy asks for a policy of types; it admits our worker and nothing else. */
interface ScriptTypes {
  readonly createPolicy: (
    name: string,
    rules: { readonly createScriptURL: (url: string) => string }
  ) => { readonly createScriptURL: (url: string) => string }
}

declare const trustedTypes: ScriptTypes | undefined

const trusted = (): string =>
  typeof trustedTypes === "undefined"
    ? script
    : trustedTypes
        .createPolicy("kith-worker", { createScriptURL: (url) => (url === script ? url : "about:blank") })
        .createScriptURL(script)

export const start = (): void => {
  if (!("serviceWorker" in navigator)) return
  // Its failure takes nothing away that was there without it.
  void navigator.serviceWorker.register(trusted(), { updateViaCache: "none" }).catch(() => undefined)
}

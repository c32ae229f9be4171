/**
 * How the page may speak to its node. The link that opened it carries a one-time code in its fragment, which no server
 * and no log sees; it is changed once for a token, and that is kept for this tab alone (sessionStorage). There are no
 * cookies: every other port of this host would receive them.
 */
import * as Atom from "effect/reactivity/Atom"
import { registry } from "./atoms.ts"
import { exchange } from "./Opening.ts"

export type Session =
  | { readonly _tag: "Opening" }
  /** Nobody may speak: `missing` without a link, `used` with a stale one, `refused` where the node knows the token no more. */
  | { readonly _tag: "Locked"; readonly why: "missing" | "used" | "refused" | "unreachable" }
  | { readonly _tag: "Open"; readonly token: string }

const key = "kith.token"

export const session = Atom.keepAlive(Atom.make<Session>({ _tag: "Opening" }))

/** The code in the link, taken out of the address bar at once: it is of no use twice, and need not be seen. */
const takeCode = (): string | null => {
  const code = new URLSearchParams(location.hash.slice(1)).get("code")
  if (code !== null) history.replaceState(null, "", location.pathname)
  return code
}

/** Opens the session, from the link or from what this tab remembers. */
export const open = async (): Promise<void> => {
  const code = takeCode()
  const remembered = sessionStorage.getItem(key)
  if (code === null) {
    registry.set(
      session,
      remembered === null ? { _tag: "Locked", why: "missing" } : { _tag: "Open", token: remembered }
    )
    return
  }
  registry.set(session, { _tag: "Opening" })
  const answer = await exchange(code)
  if (answer._tag === "Token") {
    sessionStorage.setItem(key, answer.token)
    registry.set(session, { _tag: "Open", token: answer.token })
  } else if (remembered !== null) registry.set(session, { _tag: "Open", token: remembered })
  else registry.set(session, { _tag: "Locked", why: answer.why })
}

/** The node no longer knows the token. */
export const refuse = (): void => {
  sessionStorage.removeItem(key)
  registry.set(session, { _tag: "Locked", why: "refused" })
}

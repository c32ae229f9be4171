/** Lists of peers: which of them a search means, and in which order they stand. */
import type { Peer } from "../../schema/Peer.ts"

/** From this many peers on, a list is easier to search than to read. */
export const searchFrom = 8

const rank = (peer: Peer): number =>
  peer.trust === "blocked" ? 4 : { connected: 0, connecting: 1, discovered: 2, away: 3 }[peer.state]

const names = new Intl.Collator(undefined, { sensitivity: "base", numeric: true })

/** Those with this in their names, or whose ids begin with it; the reachable first. */
export const found = (peers: Iterable<Peer>, query: string): ReadonlyArray<Peer> => {
  const wanted = query.trim().toLocaleLowerCase()
  return [...peers]
    .filter((peer) => peer.name.toLocaleLowerCase().includes(wanted) || peer.id.startsWith(wanted))
    .toSorted((a, b) => rank(a) - rank(b) || names.compare(a.name, b.name) || (a.id < b.id ? -1 : 1))
}

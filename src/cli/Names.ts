/** What peers are called in output: the name they chose, made inert, or the short id of one that is not known. */
import * as Effect from "effect/Effect"
import type { Peer } from "../schema/Peer.ts"
import { short, type PeerId } from "../schema/PeerId.ts"
import { inert } from "../schema/Text.ts"
import type { Client } from "./Client.ts"

export type Names = (id: PeerId) => string

/** Of these peers; two of one name are told apart by their short ids. Pure. */
export const namesOf = (peers: ReadonlyArray<Peer>): Names => {
  const taken = new Map<string, number>()
  for (const { name } of peers) taken.set(name, (taken.get(name) ?? 0) + 1)
  const known = new Map<PeerId, string>()
  for (const { id, name } of peers) {
    known.set(id, taken.get(name) === 1 && name !== "" ? inert(name) : `${inert(name)} (${short(id)})`.trimStart())
  }
  return (id) => known.get(id) ?? short(id)
}

/** The names as they are now. */
export const names = (client: Client) => Effect.map(client.peers.list(), namesOf)

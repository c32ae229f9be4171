/** What is said of a peer in a few words. */
import type { Peer } from "../../schema/Peer.ts"
import { inert } from "../../schema/Text.ts"
import { ago } from "./format.ts"

export const statusOf = (peer: Peer, now: number): string => {
  if (peer.trust === "blocked") return "Blocked"
  switch (peer.state) {
    case "connected": {
      const word = peer.status === "busy" ? "Busy" : peer.status === "away" ? "Not at the desk" : "Connected"
      return peer.statusText === undefined || peer.statusText === "" ? word : `${word}: ${inert(peer.statusText)}`
    }
    case "connecting":
      return "Connecting"
    case "discovered":
      return "Seen nearby"
    case "away":
      return peer.lastSeen === null ? "Away" : `Away, seen ${ago(peer.lastSeen, now)}`
  }
}

export const trustOf = (peer: Peer): string => {
  switch (peer.trust) {
    case "verified":
      return peer.trustHow === "ticket" ? "Verified by a ticket" : "Verified"
    case "blocked":
      return "Blocked"
    case "unverified":
      return "Not verified"
  }
}

/**
 * Tells a person when a name or an address that is known comes with another key. Nothing follows from it: the
 * newcomer is a peer like any other, unverified. One alarm for a newcomer, once in an hour, and a few about one peer, or
 * about all strangers together: those cost whoever invents them nothing, and must not push real alarms out of sight. It
 * owns the fibers that watch; they end with the scope.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { limits } from "../../config.ts"
import { format } from "../../schema/Address.ts"
import type { Event } from "../../schema/Event.ts"
import type { Peer, Trust } from "../../schema/Peer.ts"
import { type PeerId, short } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import type { ChangedKey } from "../../services/Connection.ts"
import * as Metrics from "../../services/Metrics.ts"
import type { PeerRecord } from "../../services/PeerRegistry.ts"
import type { TrustTools } from "./TrustTools.ts"

/** Alarms remembered; beyond it the oldest are forgotten, and may be raised again. */
const raisedMax = 4096

/** When which alarms were raised. Pure, but for being changed in place; times are monotonic milliseconds. */
export class Raised {
  private readonly at = new Map<string, { readonly about: string; readonly at: number }>()

  /** Whether to raise the alarm that this peer's name or address came with this key; notes it if so. */
  raise(peer: PeerId, trust: Trust, key: PeerId, now: number): boolean {
    const about = trust === "unverified" ? "strangers" : peer
    for (const [known, { at }] of this.at) {
      if (now - at < Duration.toMillis(limits.alarmEvery) && this.at.size < raisedMax) break
      this.at.delete(known)
    }
    const both = `${peer} ${key}`
    if (this.at.has(both)) return false
    let count = 0
    for (const one of this.at.values()) if (one.about === about) count++
    if (count >= limits.alarmsPerPeerMax) return false
    this.at.set(both, { about, at: now })
    return true
  }
}

/** Names that look the same to a person in a hurry. */
const folded = (name: string): string => inert(name).normalize("NFKC").trim().toLowerCase()

/** Of several with one name the alarm is about the one that matters most; among equals the one known longest. */
const weight: Record<Trust, number> = { unverified: 0, blocked: 1, verified: 2 }

const advice = (key: PeerId) =>
  `It counts as a stranger. Do not trust it before you have compared words: kith verify ${short(key)}`

export const watch = Effect.fnUntraced(function* (tools: TrustTools) {
  const { connection, events, registry } = tools
  const raised = new Raised()
  /** What each peer called itself in its latest session. */
  const names = new Map<PeerId, string>()

  const alarm = Effect.fnUntraced(function* ({ id: peer, trust }: PeerRecord, key: PeerId, text: string) {
    const now = Number(yield* Clock.monotonicTimeNanos) / 1e6
    if (!raised.raise(peer, trust, key, now)) return yield* Metric.update(Metrics.alarmsSuppressed, 1)
    yield* Effect.logWarning(text).pipe(Effect.annotateLogs({ peer, key }))
    yield* events.publish({ _tag: "Alarm", kind: "changedKey", peer, text })
  })

  const atAddress = Effect.fnUntraced(function* ({ address, found, peer }: ChangedKey) {
    const known = Option.getOrUndefined(yield* registry.get(peer))
    if (known === undefined || known.trust === "blocked") return
    const name = `${inert(known.name)} (${short(peer)})`
    const where = `at ${format(address)}, where ${name} was reached before, another key answers: ${short(found)}`
    yield* alarm(known, found, `${where}. ${advice(found)}`)
  })

  /** Notes the name; a change to one that others have is worth an alarm. */
  const named = Effect.fnUntraced(function* ({ id, name }: Peer, isNew: boolean) {
    if (name === short(id) || names.get(id) === name) return
    names.set(id, name)
    if (!isNew) return
    let known: PeerRecord | undefined
    for (const [other, its] of names) {
      if (other === id || folded(its) !== folded(name)) continue
      const one = Option.getOrUndefined(yield* registry.get(other))
      if (one !== undefined && (known === undefined || weight[one.trust] > weight[known.trust])) known = one
    }
    if (known === undefined) return
    const trust = known.trust === "unverified" ? "" : `${known.trust} `
    const what = `a peer with another key (${short(id)}) has the name of the ${trust}${inert(name)} (${short(known.id)})`
    yield* alarm(known, id, `${what}. ${advice(id)}`)
  })

  const heard = (event: Event): Effect.Effect<void> => {
    switch (event._tag) {
      case "PeerChanged":
        return named(event.peer, true)
      case "PeerRemoved":
        return Effect.sync(() => void names.delete(event.id))
      case "Missed":
        return Effect.flatMap(registry.list, (peers) => {
          // Of those that went unseen nobody will say so any more.
          const known = new Set(peers.map((peer) => peer.id))
          for (const id of names.keys()) if (!known.has(id)) names.delete(id)
          return Effect.forEach(peers, (peer) => named(peer, true), { discard: true })
        })
      default:
        return Effect.void
    }
  }

  yield* Effect.forEach(yield* registry.list, (peer) => named(peer, false), { discard: true })
  yield* Effect.forkScoped(Stream.runForEach(events.stream, heard), { startImmediately: true })
  yield* Effect.forkScoped(Stream.runForEach(connection.changedKeys, atAddress), { startImmediately: true })
})

/**
 * The tickets that this node has out, and what a proof of one earns. It keeps a digest of each secret, never the
 * secret, and remembers for a while those that are used or over, so that people can be told which. Pure, but for
 * being changed in place; times are milliseconds of a monotonic clock.
 */
import * as Duration from "effect/Duration"
import { limits } from "../../config.ts"
import type { TicketId } from "../../schema/Id.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import type { TicketKey, TicketRefusal } from "../../schema/Ticket.ts"

/** Tickets that are over, kept to say so. */
const overMax = 256

/** Peers whose wrong proofs are counted; beyond it the oldest make room. */
const triersMax = 1024

interface Out {
  readonly key: TicketKey
  readonly expires: number
  wrong: number
  usedBy: PeerId | undefined
}

type Verdict =
  | { readonly _tag: "Accepted"; readonly key: TicketKey }
  /** `isNews`: worth a line in the log. */
  | { readonly _tag: "Refused"; readonly reason: TicketRefusal; readonly isNews: boolean }

const within = Duration.toMillis(limits.ticketTriesWithin)

export class TicketBook {
  private readonly tickets = new Map<TicketId, Out>()
  private readonly tries = new Map<PeerId, ReadonlyArray<number>>()

  /** Tickets that are good now. */
  open(now: number): number {
    let count = 0
    for (const one of this.tickets.values()) if (this.isOpen(one, now)) count++
    return count
  }

  get size(): number {
    return this.tickets.size
  }

  /** False if too many are out. */
  add(key: TicketKey, expires: number, now: number): boolean {
    if (this.open(now) >= limits.ticketsMax) return false
    for (const [id, one] of this.tickets) {
      if (this.tickets.size < overMax) break
      if (!this.isOpen(one, now)) this.tickets.delete(id)
    }
    this.tickets.set(key.ticket, { key, expires, wrong: 0, usedBy: undefined })
    return true
  }

  /** What a proof by this peer earns; `fits` checks it, and is asked for tickets that this node made only. */
  redeem(ticket: TicketId, peer: PeerId, now: number, fits: (key: TicketKey) => boolean): Verdict {
    const tried = (this.tries.get(peer) ?? []).filter((at) => now - at < within)
    if (tried.length >= limits.ticketTriesMax) return refused("tooMany", false)
    const one = this.tickets.get(ticket)
    if (one === undefined) return this.fail(peer, [...tried, now], "unknown")
    if (one.wrong >= limits.ticketTriesMax) return refused("tooMany", false)
    if (!fits(one.key)) {
      one.wrong++
      return this.fail(peer, [...tried, now], "wrong")
    }
    // Its answer may have been lost: the same peer may ask again, and nobody else.
    if (one.usedBy !== undefined && (one.usedBy !== peer || now >= one.expires)) return refused("used", true)
    if (now >= one.expires) return refused("expired", true)
    one.usedBy = peer
    return { _tag: "Accepted", key: one.key }
  }

  private isOpen(one: Out, now: number): boolean {
    return one.usedBy === undefined && one.wrong < limits.ticketTriesMax && now < one.expires
  }

  private fail(peer: PeerId, tries: ReadonlyArray<number>, reason: TicketRefusal): Verdict {
    this.tries.delete(peer)
    this.tries.set(peer, tries)
    for (const oldest of this.tries.keys()) {
      if (this.tries.size <= triersMax) break
      this.tries.delete(oldest)
    }
    return refused(reason, tries.length === 1)
  }
}

const refused = (reason: TicketRefusal, isNews: boolean): Verdict => ({ _tag: "Refused", reason, isNews })

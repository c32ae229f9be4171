/**
 * Whose turn it is: of the transfers with one peer, so many run at once; the others wait, the more urgent first, then
 * the older. One that is more urgent takes the turn of the least urgent that runs, unless turns are for good. `choose`
 * is pure; a `Turns` is one list for a whole node, and tells each contender whenever its answer changes.
 */
import { limits } from "../../config.ts"
import type { TransferId } from "../../schema/Id.ts"
import type { TransferPriority } from "../../schema/Offer.ts"
import type { PeerId } from "../../schema/PeerId.ts"

/** One that would run if it were its turn. */
export interface Contender {
  readonly id: TransferId
  readonly peer: PeerId
  readonly priority: TransferPriority
  /** Lower is older. */
  readonly order: number
  /** Called once on entering, and then with each change. Must not wait. */
  readonly onTurn: (given: boolean) => void
}

const urgency: Record<TransferPriority, number> = { high: 2, normal: 1, low: 0 }

interface Rule {
  /** How many run at once, of one peer. */
  readonly max: number
  /** Whether a turn that was given stays until its holder leaves. */
  readonly isForGood: boolean
}

/** Those that may run. A turn is not taken from one for another that is only as urgent. */
export const choose = (
  contenders: Iterable<Contender>,
  running: ReadonlySet<TransferId>,
  { isForGood, max }: Rule
): ReadonlySet<TransferId> => {
  const holds = ({ id }: Contender) => Number(running.has(id))
  return new Set(
    [...contenders]
      .toSorted(
        (a, b) =>
          (isForGood ? holds(b) - holds(a) : 0) ||
          urgency[b.priority] - urgency[a.priority] ||
          holds(b) - holds(a) ||
          a.order - b.order
      )
      .slice(0, max)
      .map(({ id }) => id)
  )
}

export class Turns {
  private readonly contenders = new Map<PeerId, Map<TransferId, Contender>>()
  private readonly running = new Map<PeerId, ReadonlySet<TransferId>>()
  private readonly rule: Rule

  constructor(rule: Rule = { max: limits.transfersRunningMax, isForGood: false }) {
    this.rule = rule
  }

  /** Asks for a turn, or again with another priority. */
  enter(contender: Contender): void {
    const { id, peer } = contender
    const all = this.contenders.get(peer) ?? new Map<TransferId, Contender>()
    const known = all.has(id)
    all.set(id, contender)
    this.contenders.set(peer, all)
    this.decide(peer)
    if (!known && this.running.get(peer)?.has(id) !== true) contender.onTurn(false)
  }

  has(peer: PeerId, id: TransferId): boolean {
    return this.contenders.get(peer)?.has(id) ?? false
  }

  /** Does not want it any more. It is not told. */
  leave(peer: PeerId, id: TransferId): void {
    const all = this.contenders.get(peer)
    if (all?.delete(id) !== true) return
    const running = new Set(this.running.get(peer))
    running.delete(id)
    this.running.set(peer, running)
    if (all.size > 0) return this.decide(peer)
    this.contenders.delete(peer)
    this.running.delete(peer)
  }

  private decide(peer: PeerId): void {
    const all = this.contenders.get(peer) ?? new Map<TransferId, Contender>()
    const before = this.running.get(peer) ?? new Set()
    const now = choose(all.values(), before, this.rule)
    this.running.set(peer, now)
    for (const id of before) if (!now.has(id)) all.get(id)?.onTurn(false)
    for (const id of now) if (!before.has(id)) all.get(id)?.onTurn(true)
  }
}

/**
 * What happens in one simulated run, as data: how many nodes, what network, and what is done to them, step by step.
 * Any part of the steps is a scenario too, so that one that fails can be made smaller. Generate.ts makes them up.
 */
import type { ConflictPolicy, TransferPriority } from "../../src/schema/Offer.ts"
import type { AcceptPolicy } from "../../src/schema/Peer.ts"
import type { ConditionSettings } from "../../src/testing/SimulatedNetwork.ts"

/**
 * Nodes, trees, tickets and segments are meant by their number; what makes no sense at its time (a stopped node that
 * talks) is passed over. `which` chooses among what there is.
 */
export type Act =
  | { readonly _tag: "start" | "stop" | "kill" | "restart" | "freeze" | "thaw"; readonly node: number }
  | { readonly _tag: "say"; readonly node: number; readonly to: number | null }
  | SendAct
  | DieAct
  | {
      readonly _tag: "pause" | "resume" | "cancel" | "again" | "dismiss"
      readonly node: number
      readonly which: number
    }
  | { readonly _tag: "prioritise"; readonly node: number; readonly which: number; readonly priority: TransferPriority }
  | AnswerAct
  | { readonly _tag: "block" | "unblock" | "verify" | "remove" | "add"; readonly node: number; readonly peer: number }
  | { readonly _tag: "rename"; readonly node: number; readonly name: string }
  /** What happens to offers, of one peer or (null) of those for whom nothing else was said. */
  | {
      readonly _tag: "policy"
      readonly node: number
      readonly of: number | null
      readonly accept: AcceptPolicy | null
    }
  /** A ticket that is good for so many seconds; tickets have numbers in the order in which they were made. */
  | { readonly _tag: "invite"; readonly node: number; readonly lasts: number }
  | { readonly _tag: "join"; readonly node: number; readonly ticket: number }
  | SourceAct
  /** From its next start on it is found, or is not; it is restarted if it runs. */
  | { readonly _tag: "discovery"; readonly node: number; readonly on: boolean }
  | { readonly _tag: "partition"; readonly group: ReadonlyArray<number> }
  | { readonly _tag: "oneWay"; readonly from: number; readonly to: number }
  | { readonly _tag: "heal" }
  | { readonly _tag: "cut" | "halfOpen"; readonly node: number; readonly peer: number }
  | { readonly _tag: "conditions"; readonly settings: ConditionSettings }
  | { readonly _tag: "slowDisk"; readonly node: number; readonly millis: number }
  | { readonly _tag: "fillDisk"; readonly node: number; readonly left: number }
  | { readonly _tag: "skewClock"; readonly node: number; readonly seconds: number }
  /** One of its cards: the first unless told otherwise. */
  | { readonly _tag: "renumber" | "unplug" | "plug"; readonly node: number; readonly card?: number }

export interface SendAct {
  readonly _tag: "send"
  readonly node: number
  readonly to: ReadonlyArray<number>
  readonly tree: number
  readonly priority?: TransferPriority
}

/** Its plug is pulled when its disk is about to do the so manieth piece of this work from now on. */
export interface DieAct {
  readonly _tag: "die"
  readonly node: number
  readonly at: "created" | "written" | "synced" | "published" | "removed"
  readonly after: number
}

/** An answer to an offer that waits for one: all of it, a part of its list (from 0 to 1), or none. */
export interface AnswerAct {
  readonly _tag: "answer"
  readonly node: number
  readonly which: number
  readonly part: readonly [from: number, to: number] | "all" | "none"
  readonly conflict?: ConflictPolicy
}

/** What a person does to a tree that may be on its way: every file of it may be meant, chosen by `which`. */
export interface SourceAct {
  readonly _tag: "source"
  readonly node: number
  readonly tree: number
  readonly which: number
  readonly how: "rewrite" | "grow" | "shrink" | "remove" | "create"
}

export interface Step {
  /** Simulated milliseconds before it. */
  readonly wait: number
  readonly act: Act
}

export interface Scenario {
  readonly seed: number
  readonly nodes: number
  readonly conditions: ConditionSettings
  /** Segments on which each node has a card; all are on one where this is not said. */
  readonly segments?: ReadonlyArray<ReadonlyArray<string>>
  readonly steps: ReadonlyArray<Step>
}

/** Trees that are sent: all nodes have the same ones. */
export const trees = 6

export const nameOf = (node: number): string => `n${node}`

export const segmentsOf = (scenario: Pick<Scenario, "segments">, node: number): ReadonlyArray<string> =>
  scenario.segments?.[node] ?? ["lan"]

/** One line, to read. */
export const describe = ({ _tag, ...rest }: Act): string =>
  [_tag, ...Object.entries(rest).map(([key, value]) => `${key}=${JSON.stringify(value)}`)].join(" ")

/** All of it, to read. */
export const show = ({ conditions, nodes, segments, steps }: Scenario): string =>
  [
    `${nodes} nodes, ${JSON.stringify(conditions)}${segments === undefined ? "" : `, on ${JSON.stringify(segments)}`}`,
    ...steps.map(({ act, wait }) => `  after ${wait} ms: ${describe(act)}`)
  ].join("\n")

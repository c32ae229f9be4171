/**
 * How a verb ends, for the person and for the script that ran it. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no
 * node running, 4 refused by the peer.
 */
import * as Schema from "effect/Schema"

export const codes = { done: 0, failed: 1, usage: 2, noNode: 3, refused: 4 } as const
type ExitCode = (typeof codes)[keyof typeof codes]

/** What was typed cannot be meant. */
export class Usage extends Schema.TaggedError<Usage>()("Usage", { problem: Schema.String, see: Schema.String }) {
  override get message(): string {
    return `${this.problem}. See: ${this.see}`
  }
}

/** The verb could not do what it should. */
export class Failed extends Schema.TaggedError<Failed>()("Failed", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** Nobody answers as the node of this data directory. */
export class NoNode extends Schema.TaggedError<NoNode>()("NoNode", {
  dataDir: Schema.String,
  /** How to start one. */
  start: Schema.String
}) {
  override get message(): string {
    return `no node is running for ${this.dataDir}; start one with: ${this.start}`
  }
}

/** The peer declined. */
export class Declined extends Schema.TaggedError<Declined>()("Declined", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** The exit code that an error of a verb means. */
export const codeOf = (error: { readonly _tag: string }): ExitCode => {
  switch (error._tag) {
    case "Usage":
    case "BadSetting":
    case "MalformedAddress":
    case "TicketForeign":
    case "TicketTruncated":
    case "TicketMistyped":
      return codes.usage
    case "NoNode":
      return codes.noNode
    case "Declined":
      return codes.refused
    default:
      return codes.failed
  }
}

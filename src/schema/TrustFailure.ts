/** What is wrong with a ticket, each in its own words: what happened, and what to do. None of them holds its text. */
import * as Schema from "effect/Schema"
import { PeerId, short } from "./PeerId.ts"

const again = "Ask for a new one: kith invite"

/** The text is no ticket at all. */
export class TicketForeign extends Schema.TaggedError<TicketForeign>()("TicketForeign", {}) {
  override get message(): string {
    return "this is not a Kith ticket. One begins with kith1: and comes from: kith invite"
  }
}

/** A ticket of another version of Kith. */
export class TicketVersion extends Schema.TaggedError<TicketVersion>()("TicketVersion", { version: Schema.String }) {
  override get message(): string {
    return `this ticket is of version ${this.version}, and this node knows version 1. Use the same version of Kith on both sides`
  }
}

/** Its end is missing. */
export class TicketTruncated extends Schema.TaggedError<TicketTruncated>()("TicketTruncated", {
  /** Characters that are missing. */
  missing: Schema.Int
}) {
  override get message(): string {
    return `the end of this ticket is missing (${this.missing} characters). Copy all of it`
  }
}

/** It is whole, but not as it was made. */
export class TicketMistyped extends Schema.TaggedError<TicketMistyped>()("TicketMistyped", { problem: Schema.String }) {
  override get message(): string {
    return `this ticket has a typing error: ${this.problem}. Copy and paste it, or scan its QR code`
  }
}

/** This node made it. */
export class TicketOwn extends Schema.TaggedError<TicketOwn>()("TicketOwn", {}) {
  override get message(): string {
    return "this ticket is this node's own. It is for the other side: run kith join there"
  }
}

/** Its time is over. */
export class TicketExpired extends Schema.TaggedError<TicketExpired>()("TicketExpired", {}) {
  override get message(): string {
    return `this ticket has expired. ${again}`
  }
}

/** Someone used it before. */
export class TicketUsed extends Schema.TaggedError<TicketUsed>()("TicketUsed", {}) {
  override get message(): string {
    return `this ticket was used already, and each is good for one node. If that was not you, say so to who made it. ${again}`
  }
}

/** The node that it names knows nothing of it. */
export class TicketUnknown extends Schema.TaggedError<TicketUnknown>()("TicketUnknown", {}) {
  override get message(): string {
    return `the node that made this ticket no longer knows it; it has restarted since, or forgot it long after its end. ${again}`
  }
}

/** The other side did not accept it, or did not prove that it made it. */
export class TicketRejected extends Schema.TaggedError<TicketRejected>()("TicketRejected", { reason: Schema.String }) {
  override get message(): string {
    return `the ticket was not accepted: ${this.reason}. ${again}`
  }
}

/** No more tickets can be out at one time, or not for so long. */
export class InviteRefused extends Schema.TaggedError<InviteRefused>()("InviteRefused", { problem: Schema.String }) {
  override get message(): string {
    return `no ticket was made: ${this.problem}`
  }
}

/** A person blocked this peer on this node. */
export class PeerBlocked extends Schema.TaggedError<PeerBlocked>()("PeerBlocked", { peer: PeerId }) {
  override get message(): string {
    return `${short(this.peer)} is blocked on this node. First: kith unblock ${short(this.peer)}`
  }
}

/** Words cannot be compared with this peer now. */
export class VerifyRefused extends Schema.TaggedError<VerifyRefused>()("VerifyRefused", { problem: Schema.String }) {
  override get message(): string {
    return `words cannot be compared: ${this.problem}`
  }
}

/** This comparison is over, or never was. */
export class UnknownVerification extends Schema.TaggedError<UnknownVerification>()("UnknownVerification", {}) {
  override get message(): string {
    return "this comparison of words is over. Begin again with: kith verify"
  }
}

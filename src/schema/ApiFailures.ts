/**
 * How errors look on the API: what it refuses by itself, before a service is asked, and the status and title of every
 * error that a service raises and a client gets back.
 */
import * as Schema from "effect/Schema"
import { MalformedAddress } from "./Address.ts"
import { UnknownAlarm } from "./Alarm.ts"
import * as Failure from "./Failure.ts"
import { members, problem } from "./Problem.ts"

/** The Host header is not this server's: another site's name was made to point here (DNS rebinding). */
export class WrongHost extends Schema.TaggedError<WrongHost>()("WrongHost", {}) {
  override get message(): string {
    return "this address is not known here; use the one that the node printed"
  }
}

/** A page of another origin asks. */
export class ForeignOrigin extends Schema.TaggedError<ForeignOrigin>()("ForeignOrigin", {}) {
  override get message(): string {
    return "pages of other origins may not use this API"
  }
}

/** The bearer token is missing or wrong. */
export class Unauthorized extends Schema.TaggedError<Unauthorized>()("Unauthorized", {}) {
  override get message(): string {
    return "the token is missing or wrong; control.json in the data directory holds it"
  }
}

/** Nothing is served at this path by this method. */
export class NoSuchRoute extends Schema.TaggedError<NoSuchRoute>()("NoSuchRoute", {
  method: Schema.String,
  path: Schema.String
}) {
  override get message(): string {
    return `there is nothing at ${this.method} ${this.path}; /openapi.json lists what there is`
  }
}

/** The body is larger than the API takes. */
export class BodyTooLarge extends Schema.TaggedError<BodyTooLarge>()("BodyTooLarge", { maxBytes: Schema.Int }) {
  override get message(): string {
    return `the body of the request is larger than ${this.maxBytes} bytes`
  }
}

/** A part of the request is not what the API takes. */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>()("InvalidRequest", {
  /** Which part: `payload`, `query`, `params` or `headers`. */
  part: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `the ${this.part} of the request is not valid: ${this.problem}`
  }
}

/** A defect of the node; its log says more. */
export class Unexpected extends Schema.TaggedError<Unexpected>()("Unexpected", {}) {
  override get message(): string {
    return "the node met an error that it did not expect; its log says more"
  }
}

/** The database, or the disk below it, refused: nothing was changed, and it may do when asked again. */
export class StorageFailed extends Schema.TaggedError<StorageFailed>()("StorageFailed", { problem: Schema.String }) {
  override get message(): string {
    return this.problem
  }
}

/** An upload, or a part of it, cannot be taken. */
export class UploadRefused extends Schema.TaggedError<UploadRefused>()("UploadRefused", {
  /** The path it is about, or null where it is about the whole. */
  path: Schema.NullOr(Schema.String),
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.path === null ? "the upload" : this.path} was not taken: ${this.problem}`
  }
}

/** No upload has that id, or not any more. */
export class UnknownUpload extends Schema.TaggedError<UnknownUpload>()("UnknownUpload", { id: Schema.String }) {
  override get message(): string {
    return `there is no upload ${this.id}; it may be over, discarded or too old`
  }
}

/** The code of a link to the page is of no use. */
export class CodeRefused extends Schema.TaggedError<CodeRefused>()("CodeRefused", {}) {
  override get message(): string {
    return "this link was used already, or is too old. Get another with: kith open"
  }
}

export const InvalidRequestProblem = problem(
  400,
  "Invalid request",
  InvalidRequest,
  Schema.Struct({ ...members, error: InvalidRequest })
)

/** The node is well, and what it stands on is not: 503. */
export const StorageFailedProblem = problem(
  503,
  "The database cannot be used now",
  StorageFailed,
  Schema.Struct({ ...members, error: StorageFailed })
)

export const MalformedAddressProblem = problem(
  400,
  "Malformed address",
  MalformedAddress,
  Schema.Struct({ ...members, error: MalformedAddress })
)

/** The peer, not the API, is the server that failed: 502. */
export const DialErrorProblem = problem(
  502,
  "The peer cannot be reached",
  Failure.DialError,
  Schema.Struct({ ...members, error: Failure.DialError })
)

export const SessionErrorProblem = problem(
  502,
  "The peer did not open a session",
  Failure.SessionError,
  Schema.Struct({ ...members, error: Failure.SessionError })
)

export const UnknownPeerProblem = problem(
  404,
  "Unknown peer",
  Failure.UnknownPeer,
  Schema.Struct({ ...members, error: Failure.UnknownPeer })
)

export const AmbiguousPeerProblem = problem(
  409,
  "Several peers are meant",
  Failure.AmbiguousPeer,
  Schema.Struct({ ...members, error: Failure.AmbiguousPeer })
)

export const MessageRefusedProblem = problem(
  422,
  "The message was not sent",
  Failure.MessageRefused,
  Schema.Struct({ ...members, error: Failure.MessageRefused })
)

export const SendRefusedProblem = problem(
  422,
  "Nothing was sent",
  Failure.SendRefused,
  Schema.Struct({ ...members, error: Failure.SendRefused })
)

export const UnknownTransferProblem = problem(
  404,
  "Unknown transfer",
  Failure.UnknownTransfer,
  Schema.Struct({ ...members, error: Failure.UnknownTransfer })
)

export const NotPossibleProblem = problem(
  409,
  "Not possible now",
  Failure.NotPossible,
  Schema.Struct({ ...members, error: Failure.NotPossible })
)

export const UploadRefusedProblem = problem(
  422,
  "The upload was refused",
  UploadRefused,
  Schema.Struct({ ...members, error: UploadRefused })
)

export const UnknownUploadProblem = problem(
  404,
  "Unknown upload",
  UnknownUpload,
  Schema.Struct({ ...members, error: UnknownUpload })
)

export const UnknownAlarmProblem = problem(
  404,
  "Unknown alarm",
  UnknownAlarm,
  Schema.Struct({ ...members, error: UnknownAlarm })
)

export const CodeRefusedProblem = problem(
  403,
  "The link is of no use",
  CodeRefused,
  Schema.Struct({ ...members, error: CodeRefused })
)

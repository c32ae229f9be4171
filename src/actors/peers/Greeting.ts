/**
 * The two Hellos that make a control link a session. The side that dialled speaks first; the side that accepted
 * answers once it has decided to keep the link (Session writes that answer). Until the peer's Hello was read nothing
 * larger than `helloMaxBytes` is read from it, and it has `limits.hello` to come.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { limits } from "../../config.ts"
import { format } from "../../schema/Address.ts"
import {
  decode,
  encode,
  frameMaxBytes,
  type FrameOf,
  type GoodbyeReason,
  helloMaxBytes,
  version
} from "../../schema/Frame.ts"
import { Splitter } from "../../schema/FrameCodec.ts"
import type { PeerId } from "../../schema/PeerId.ts"
import { inert } from "../../schema/Text.ts"
import { SessionError } from "../../services/Connection.ts"
import type { Link, LinkClosed } from "../../services/Transport.ts"

/** A link whose other side has said an acceptable Hello. */
export interface Opened {
  readonly link: Link
  readonly hello: FrameOf<"Hello">
  /** Holds what came after the Hello. */
  readonly splitter: Splitter
}

/** Our Hello, then the peer's. Fails within `limits.hello`, after the Goodbye that says why. */
export const greet = Effect.fn("Greeting.greet")(function* (link: Link, ours: FrameOf<"Hello">) {
  yield* link.write(encode(ours)).pipe(Effect.mapError((error) => closed(link, error)))
  return yield* receive(link, ours.id)
})

/** The peer's Hello, on a link that it dialled. Fails within `limits.hello`, after the Goodbye that says why. */
export const receive = Effect.fn("Greeting.receive")(function* (link: Link, self: PeerId) {
  const splitter = new Splitter(helloMaxBytes)
  const body = yield* firstBody(link, splitter).pipe(
    Effect.timeoutOrElse({
      duration: limits.hello,
      orElse: () => refuse(link, "silent", "it did not say Hello in time")
    })
  )
  const hello = yield* asHello(link, body)
  const problem = problemWith(link, hello, self)
  if (problem !== null) return yield* refuse(link, problem.reason, problem.detail)
  splitter.setLimit(frameMaxBytes)
  const opened: Opened = { link, hello, splitter }
  return opened
})

/** The last frame of a link, with a sentence that says more, or none. */
export const goodbye = (reason: GoodbyeReason, message: string): FrameOf<"Goodbye"> =>
  message === ""
    ? { _tag: "Goodbye", reason }
    : { _tag: "Goodbye", reason, message: message.slice(0, 160).toWellFormed() }

/** Says Goodbye and closes the link; at most `limits.farewell`. */
export const turnAway = Effect.fn("Greeting.turnAway")(
  function* (link: Link, reason: GoodbyeReason, message?: string) {
    yield* link.write(encode(goodbye(reason, message ?? "")))
    yield* link.close
  },
  // The other side is gone: there is nobody to say goodbye to.
  (effect) => Effect.ignore(effect),
  Effect.timeoutOption(limits.farewell),
  Effect.asVoid
)

const failure = (link: Link, reason: string, detail: string) =>
  new SessionError({ address: format(link.remote), reason: inert(reason), detail: inert(detail) })

const closed = (link: Link, error: LinkClosed) => failure(link, "closed", error.reason)

const refuse = Effect.fnUntraced(function* (link: Link, reason: GoodbyeReason, detail: string) {
  yield* turnAway(link, reason, detail)
  return yield* failure(link, reason, detail)
})

const firstBody = Effect.fnUntraced(function* (link: Link, splitter: Splitter) {
  while (true) {
    const body = splitter.next()
    if (Result.isFailure(body)) return yield* refuse(link, "protocol", body.failure.message)
    if (body.success !== undefined) return body.success
    splitter.push(yield* link.read.pipe(Effect.mapError((error) => closed(link, error))))
  }
})

const asHello = Effect.fnUntraced(function* (link: Link, body: Uint8Array) {
  const decoded = decode(body)
  if (Result.isFailure(decoded)) return yield* refuse(link, "protocol", decoded.failure.message)
  if (decoded.success._tag !== "Known") return yield* refuse(link, "protocol", "its first frame is not a valid Hello")
  const { frame } = decoded.success
  if (frame._tag === "Hello") return frame
  if (frame._tag === "Goodbye") return yield* failure(link, frame.reason, frame.message ?? "")
  return yield* refuse(link, "protocol", `its first frame is a ${frame._tag}, not a Hello`)
})

/** Why this Hello is not acceptable, or null. */
const problemWith = (
  link: Link,
  hello: FrameOf<"Hello">,
  self: PeerId
): { readonly reason: GoodbyeReason; readonly detail: string } | null => {
  if (link.peer === self) return { reason: "self", detail: "it is this node itself" }
  if (hello.version.major !== version.major) {
    return { reason: "version", detail: `it speaks version ${hello.version.major}, this node ${version.major}` }
  }
  return hello.id === link.peer ? null : { reason: "idMismatch", detail: "the id of its Hello is not that of its key" }
}

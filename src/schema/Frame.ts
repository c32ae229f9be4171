/**
 * Every message of a control link. How its bytes are cut from the stream and decoded is FrameCodec.ts. A frame of an
 * unknown kind is skipped and counted; one that its schema refuses is answered with `Refused`, and the link lives. Pure.
 */
import * as Schema from "effect/Schema"
import { Port } from "./Address.ts"
import { codec } from "./FrameCodec.ts"
import { Bytes32, Epoch, GroupId, Instance, MessageId, TicketId, TransferId, VerificationId } from "./Id.ts"
import { Mtime, Size } from "./Manifest.ts"
import { publishedMax, TransferPriority } from "./Offer.ts"
import { PeerId } from "./PeerId.ts"
import { componentMaxBytes, pathMaxBytes } from "./RelativePath.ts"
import { bounded, ChatText, Name, Reason, Word } from "./Text.ts"

/** The protocol this code speaks. Another major version is refused; a newer minor one must interoperate. */
export const version = { major: 1, minor: 0 } as const

/** Largest control frame before the peer's Hello, in bytes of JSON. */
export const helloMaxBytes = 8 * 1024

/** Largest control frame, in bytes of JSON: 64 KiB of chat may need six times that once JSON has escaped it. */
export const frameMaxBytes = 512 * 1024

const Counter = Schema.Natural

/** Most transfers with one peer that are not over: its node and this one tell each other of all of them. */
export const unfinishedMax = 1024

export const Frame = Schema.TaggedUnion({
  /** The first frame of each side. The id must be the certificate's. */
  Hello: {
    version: Schema.Struct({ major: Counter, minor: Counter }),
    features: Schema.Array(Word).check(Schema.isMaxLength(64)),
    id: PeerId,
    instance: Instance,
    name: Name,
    port: Port
  },
  /** Are you there? Answered by a Pong with the same nonce. */
  Ping: { nonce: Counter },
  Pong: { nonce: Counter },
  /** The last frame of a link: why it ends. A reason this node does not know is still a goodbye. */
  Goodbye: { reason: Word, message: Schema.optionalKey(Reason) },
  /** A frame was understood as JSON but not accepted; the link lives. */
  Refused: { frame: Word, reason: Reason },
  /** The sender's name or status has changed. A status that is not known here counts as `available`. */
  Profile: { name: Name, status: Schema.optionalKey(Word), statusText: Schema.optionalKey(bounded({ max: 256 })) },
  /**
   * One chat message. `(epoch, seq)` counts, from 1, what this sender sent to this receiver; `first` is the oldest
   * number of this epoch that the receiver has not acknowledged, at most `seq`.
   */
  Chat: {
    id: MessageId,
    epoch: Epoch,
    first: Counter,
    seq: Counter,
    toEveryone: Schema.Boolean,
    sentAt: Mtime,
    text: ChatText
  },
  /** Every message of this epoch up to and including `seq` is safe here, or was read. */
  ChatReceipt: { epoch: Epoch, seq: Counter, state: Schema.Literals(["delivered", "read"]) },
  /** After Hello: transfers with you that are not finished here. */
  Transfers: {
    unfinished: Schema.Array(Schema.Struct({ transfer: TransferId, role: Schema.Literals(["send", "receive"]) })).check(
      Schema.isMaxLength(unfinishedMax)
    )
  },
  /** I would like to send you this. The manifest is pulled on a data link. */
  Offer: {
    transfer: TransferId,
    group: GroupId,
    name: Name,
    files: Counter,
    directories: Counter,
    bytes: Size,
    /** The sender still lists it: what it holds is what was found so far, and it is offered again when all is known. */
    listing: Schema.optionalKey(Schema.Boolean),
    /** In which order the receiver takes them; `normal` where it is not said. */
    priority: Schema.optionalKey(TransferPriority)
  },
  /**
   * What became of an offer, once its whole manifest was seen. `taken`: what it comes to, where only a part of it was
   * accepted or can be stored; which part is said on the data link.
   */
  OfferReply: {
    transfer: TransferId,
    decision: Schema.Literals(["accepted", "declined"]),
    reason: Reason,
    taken: Schema.optionalKey(Schema.Struct({ files: Counter, directories: Counter, bytes: Size }))
  },
  /** From the receiver: what it does meanwhile with what it accepted: `queued` or `publishing`. Others mean nothing yet. */
  TransferStatus: { transfer: TransferId, status: Word },
  TransferControl: { transfer: TransferId, action: Schema.Literals(["pause", "resume", "cancel"]), reason: Reason },
  /**
   * From the receiver: it is over, and how. `failed` names at most 100 entries. `published`: what the first entries at
   * the top are called where they are now, below its receive folder. `digest`: over the digests of all files that came,
   * where none failed (Digests.ts).
   */
  TransferDone: {
    transfer: TransferId,
    outcome: Schema.Literals(["done", "partial", "failed"]),
    failed: Schema.Array(
      Schema.Struct({
        path: bounded({ max: pathMaxBytes }),
        reason: Reason,
        /** It did not go wrong: the receiver cannot store it, or the sender said that it is not sent. */
        leftOut: Schema.optionalKey(Schema.Boolean)
      })
    ).check(Schema.isMaxLength(100)),
    error: Reason,
    published: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({ path: bounded({ max: componentMaxBytes }), name: bounded({ max: componentMaxBytes }) })
      ).check(Schema.isMaxLength(publishedMax))
    ),
    digest: Schema.optionalKey(Bytes32),
    /** Files that were there already with the same bytes. */
    same: Schema.optionalKey(Schema.Natural)
  },
  /** The receiver could not reach the sender: dial me for this transfer. */
  DialMe: { transfer: TransferId, lane: Counter, attempt: Counter },
  /** Let us compare words (Verify.ts): I am bound to this nonce, which you will see after yours. */
  VerifyCommit: { verification: VerificationId, commitment: Bytes32 },
  /** From the other side: its nonce. */
  VerifyNonce: { verification: VerificationId, nonce: Bytes32 },
  /** The nonce behind the commitment: now both sides can show the words. */
  VerifyReveal: { verification: VerificationId, nonce: Bytes32 },
  /** A person says that the words are the same. Final. */
  VerifyConfirm: { verification: VerificationId },
  /** It is over without success; the reason is a `CancelReason`, or what a newer peer says. */
  VerifyCancel: { verification: VerificationId, reason: Word },
  /** I hold a ticket of yours (Ticket.ts). */
  TicketProof: { ticket: TicketId, proof: Bytes32 },
  /** So do I: each of us knows the other now. */
  TicketAccepted: { ticket: TicketId, proof: Bytes32 },
  /** The reason is a `TicketRefusal`, or what a newer peer says. */
  TicketRefused: { ticket: TicketId, reason: Word }
})
export type Frame = typeof Frame.Type
export type FrameTag = Frame["_tag"]
export type FrameOf<Tag extends FrameTag> = Extract<Frame, { readonly _tag: Tag }>

/** Why a link says goodbye; the set a newer peer may extend. */
export type GoodbyeReason =
  | "shutdown"
  | "duplicate"
  | "replaced"
  | "self"
  | "idMismatch"
  | "version"
  | "protocol"
  | "removed"
  | "blocked"
  | "silent"
  | "full"

export const { decode, encode } = codec(Frame, new Set(Object.keys(Frame.cases)))

/** What happened in a node, for whoever watches: the page, `--watch`, an embedding app. */
import * as Schema from "effect/Schema"
import { Alarm, AlarmKind } from "./Alarm.ts"
import { Message } from "./Message.ts"
import { Transfer } from "./Offer.ts"
import { Peer } from "./Peer.ts"
import { PeerId } from "./PeerId.ts"
import { Verification } from "./Verification.ts"

export const Event = Schema.TaggedUnion({
  /** A peer is new, or something shown of it changed. */
  PeerChanged: { peer: Peer },
  PeerRemoved: { id: PeerId },
  /** A message is new here, sent or received. */
  MessageAdded: { message: Message },
  /** A message's state advanced. */
  MessageChanged: { message: Message },
  /** A conversation with a peer, or (null) with everyone, was read here; `unread` messages of it are left. */
  MessagesRead: { peer: Schema.NullOr(PeerId), unread: Schema.Natural },
  /** A transfer is new, changed state, or made progress (at most 10 times a second each). */
  TransferChanged: { transfer: Transfer },
  /** A comparison of words began, has words to show, or is over. */
  VerificationChanged: { verification: Verification },
  /** Something a person must see. */
  Alarm: { kind: AlarmKind, peer: PeerId, text: Schema.String },
  /** Those that are open: one was raised, or put away. */
  AlarmsChanged: { alarms: Schema.Array(Alarm) },
  /** This watcher was too slow and missed events: read the lists again. */
  Missed: { count: Schema.Natural }
})
export type Event = typeof Event.Type

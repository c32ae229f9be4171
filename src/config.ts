/**
 * Every setting of a node with its default (`NodeConfig`), and every limit with its reason (`limits`).
 * Limits that are part of the protocol stand in schema/, beside what they bound. Peers never raise a limit of ours.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Address, Port } from "./schema/Address.ts"
import { ConflictPolicy } from "./schema/Offer.ts"
import { AcceptPolicy } from "./schema/Peer.ts"
import { Name } from "./schema/Text.ts"

/** Of this program, as in package.json. */
export const programVersion = "0.1.0"

/** The port a node listens on by TCP, and hears announcements on by UDP, unless told otherwise. */
export const defaultPort = 9090

/** The loopback port of the API, unless taken. */
const defaultApiPort = 9091

/** A port to listen on; 0 takes any free one. */
const ListenPort = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

export const NodeSettings = Schema.Struct({
  /** What the node calls itself. */
  name: Name,
  /** Where identity, database and control file live; made with mode 0700 if missing. */
  dataDir: Schema.String,
  /** Where received files are published; made when first needed. */
  received: Schema.String,
  /** The interface address to listen on: `::` is all of them, IPv4 too. */
  host: Schema.String,
  /** Wanted TCP port; any free one is used when it is taken and `portIsFixed` is false. */
  port: ListenPort,
  /** True when a person chose the port: then a taken one is an error. */
  portIsFixed: Schema.Boolean,
  discovery: Schema.Boolean,
  discoveryPort: Port,
  /** Addresses to dial at start, and to keep. */
  peers: Schema.Array(Address),
  accept: AcceptPolicy,
  conflict: ConflictPolicy,
  /** Bytes of blocks a second, of all transfers together; null or absent: as many as there are. */
  sendCap: Schema.optionalKey(Schema.NullOr(Schema.Natural)),
  receiveCap: Schema.optionalKey(Schema.NullOr(Schema.Natural)),
  /** Data links of one transfer that comes in, if it is large; 1 to 4. */
  lanes: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))),
  /** Loopback port of the API; any free one is used when it is taken. */
  apiPort: ListenPort,
  /** Which of these nobody chose for this start: what was set in an earlier run comes before them. */
  fallbacks: Schema.optionalKey(Schema.Array(Schema.Literals(["name", "accept", "sendCap", "receiveCap"])))
})
export type NodeSettings = typeof NodeSettings.Type

/** The settings one node runs with. */
export class NodeConfig extends Context.Service<NodeConfig, NodeSettings>()("kith/config/NodeConfig") {
  static readonly defaults = {
    received: "received_files",
    host: "::",
    port: defaultPort,
    portIsFixed: false,
    discovery: true,
    discoveryPort: defaultPort,
    peers: [],
    accept: "ask",
    conflict: "rename",
    lanes: 2,
    apiPort: defaultApiPort
  } as const satisfies Partial<NodeSettings>

  /** The defaults, with these settings over them; what is given is chosen, unless `fallbacks` says otherwise. */
  static readonly layer = (
    settings: Pick<NodeSettings, "name" | "dataDir"> & Partial<NodeSettings>
  ): Layer.Layer<NodeConfig> =>
    Layer.succeed(NodeConfig, {
      ...NodeConfig.defaults,
      fallbacks: (["accept", "sendCap", "receiveCap"] as const).filter((key) => settings[key] === undefined),
      ...settings
    })
}

export const limits = {
  /** A TLS handshake is two round trips; 5 s is a bad satellite link with losses, longer is an attack. */
  tlsHandshake: Duration.seconds(5),
  /** From the end of TLS to the peer's Hello (Attach on a data link). */
  hello: Duration.seconds(5),
  /** A dial by hand answers within this: nobody waits longer for a typing error. */
  dial: Duration.seconds(5),
  /** Unfinished inbound handshakes being worked on, in all and from one address; more wait unread. */
  handshakesMax: 64,
  handshakesPerAddressMax: 8,
  /** The same from one IPv6 /64, of which one machine can use every address. */
  handshakesPerNetworkMax: 32,
  /** Inbound connections waiting for a turn; beyond it they are closed. */
  handshakesWaitingMax: 1024,
  /** A connection that waited longer for its turn is closed: whoever dialled has given up. */
  handshakeTurn: Duration.seconds(10),
  /** Inbound links that are open, in all, from one network (an IPv4 address or an IPv6 /64), and of one peer. */
  linksMax: 4096,
  linksPerNetworkMax: 512,
  linksPerPeerMax: 64,
  /**
   * A quiet link is asked after `heartbeat`. After `doubtful` another is dialled beside it, since TCP asks ever more
   * rarely and would come back long after the network has; after `dead` it is given up, so that a person sees that
   * within 15 s. Wi-Fi that hesitates for a few seconds costs nothing.
   */
  heartbeat: Duration.seconds(5),
  /** The side that was dialled waits longer before it asks, so that one Ping and its answer serve both. */
  heartbeatAccepted: Duration.seconds(6),
  doubtful: Duration.seconds(9),
  dead: Duration.seconds(14),
  /** Whoever is heard at a new place has to answer on the link that there is within this, or is dialled there. */
  probe: Duration.seconds(1),
  /** Waits between dials of a wanted peer. */
  redialFirst: Duration.millis(200),
  redialMax: Duration.seconds(30),
  /** Dials by the actors at one time, of peers that were met and of those only heard of: a flood must not take every socket. */
  dialsMax: 64,
  /** One of several addresses of a peer: the next may be the one that answers. */
  dialEach: Duration.seconds(2),
  /** What is queued, the Goodbye and the end of the link, together. */
  farewell: Duration.seconds(1),
  /** Messages to an actor that it has not read yet; the sender waits. */
  mailboxMax: 64,
  /** Frames to a peer that are not written yet; `send` waits. */
  outgoingMax: 256,
  /** Frames of one kind waiting for the service that handles them. */
  inboxMax: 1024,
  /** Events a slow watcher may lag behind before it misses some, and is told so. */
  eventsMax: 4096,
  /** Peers kept because a person or a session made them worth keeping. */
  peersMax: 4096,
  /** Peers known from announcements alone; the one heard longest ago makes room. */
  discoveredMax: 1024,
  /**
   * Announcements of peers that were not heard at that place before, which are followed by a dial: at once and in a
   * second, in all and from one network. A network of a thousand is known within 10 s; a flood of inventions costs little.
   */
  newcomersBurst: 512,
  newcomersPerSecond: 64,
  newcomersPerNetworkBurst: 64,
  newcomersPerNetworkPerSecond: 8,
  /** What is known of peers is written this long after a change, so that many changes are one write. */
  peersWritten: Duration.millis(100),
  /** Addresses remembered for one peer. */
  addressesMax: 16,
  /** How often a node announces itself (with jitter), and how often it looks for new interfaces. */
  announce: Duration.seconds(5),
  /** Messages waiting for one peer; in number and in bytes, whichever is reached first. */
  outboxMax: 1000,
  outboxBytes: 8 * 1024 * 1024,
  /** Messages that are read from the outbox at one time, and the bytes of their texts. */
  outboxAtOnce: 256,
  outboxBytesAtOnce: 256 * 1024,
  /** What was written to a peer is noted as sent up to this much later, unless its receipt is here by then. */
  sentNoted: Duration.millis(100),
  /** Messages of peers that are kept by one write. */
  chatAtOnce: 128,
  /** A message, or an offer, waits this long for a peer that is away: later it would surprise both. How often that is looked at. */
  outboxExpires: Duration.days(30),
  outboxLook: Duration.hours(1),
  /** Messages kept on disk: a lifetime of chat, and a search of all of them that nobody notices. */
  messagesMax: 1_000_000,
  /** Of what one unverified peer said, so many messages and bytes of texts are kept, its newest: years of talk. */
  unverifiedMessagesMax: 10_000,
  unverifiedMessagesBytes: 32 * 1024 * 1024,
  /**
   * The same of all unverified peers together that nobody here ever wrote to: keys cost nothing, so that many of them
   * push out each other, and nobody whom a person talks with. These four are looked after once in 64 messages.
   */
  strangersMessagesMax: 20_000,
  strangersMessagesBytes: 64 * 1024 * 1024,
  /** Writes that go into one transaction, and that wait for theirs; beyond it whoever writes waits. */
  commitMax: 512,
  commitsWaitingMax: 4096,
  /** A transfer is worth several lanes from this many bytes on. */
  lanesFrom: 64 * 1024 * 1024,
  /** Transfers from one peer that are not over; a sender offers no more at one time, and the others wait for a place. */
  transfersMax: 16,
  /** Transfers to one peer that are not over, those that wait for a place included. */
  sendsMax: 1000,
  /** Offers of all unverified peers together that wait for an answer: keys cost nothing, and each offer some memory. */
  offersMax: 256,
  /** Of those that come from one peer, so many run at once: more would only make each of them late. */
  transfersRunningMax: 4,
  /** Transfers that are over, kept to be shown. */
  transfersShownMax: 1000,
  /**
   * Of these, offers of unverified peers that ended before anybody here answered: enough to see what was missed. They
   * take no place of what was sent, taken or declined here, since whoever has a key can make any number of them.
   */
  unansweredShownMax: 64,
  /** What was picked for a send that is over, kept to send it again: as JSON, for a thousand paths of common length. */
  pickedKeptMaxBytes: 256 * 1024,
  /** Memory for blocks on their way, for the whole node. */
  blockPoolBytes: 64 * 1024 * 1024,
  /** Data is synced, and reported Safe, after this much or this long, whichever comes first. */
  syncBytes: 64 * 1024 * 1024,
  syncEvery: Duration.seconds(1),
  /** A data link that moves no byte for this long is given up. */
  stalled: Duration.seconds(30),
  /** A sender without a data link is shown as stalled after this: losing one and having another at once is nothing. */
  stallShown: Duration.seconds(1),
  /** The receiver tries to open a data link itself this long before it asks to be dialled. */
  dataDial: Duration.seconds(3),
  /** What the disk refused is tried again after this, since someone may have made room meanwhile. */
  faultRetry: Duration.seconds(30),
  /** Staged data and accounts of transfers that nobody came back to are removed after this. */
  stagingExpires: Duration.days(7),
  /** How often it is looked for such. */
  cleanEvery: Duration.hours(1),
  /** A walk that takes longer is offered before its end; how often a receiver that waits hears of it. */
  listingShown: Duration.millis(250),
  listingEvery: Duration.seconds(5),
  /** An offer that nobody answers. */
  offerExpires: Duration.hours(24),
  /** Progress events of one transfer are at least this far apart. */
  progressEvery: Duration.millis(100),
  /** Uploads of the page that are kept at one time, and files in one. */
  uploadsMax: 16,
  uploadFilesMax: 100_000,
  /** Uploads leave this much of the disk to everything else. */
  uploadReserveBytes: 256 * 1024 * 1024,
  /**
   * What was uploaded is gone after this, sent or not, and much sooner where room is needed, or where nothing moves in
   * it.
   */
  uploadKept: Duration.hours(24),
  uploadStalled: Duration.seconds(30),
  /** The one-time code of a link to the page, and how many may be out. */
  pageCodeExpires: Duration.minutes(1),
  pageCodesMax: 8,
  /** From the first signal to the end of the process. */
  shutdown: Duration.seconds(2),
  /** Comparisons of words that one peer may ask for; a stranger must not tire people into saying yes. */
  verifyPromptsMax: 3,
  verifyPromptsWithin: Duration.minutes(10),
  /** Comparisons under way with all peers, of those that are begun here and of those that peers ask for. */
  verifyMax: 16,
  /** From the beginning of a comparison to the last answer. */
  verifyDeadline: Duration.minutes(2),
  /** Waits after words that differed, doubling from the first. */
  verifyAgainFirst: Duration.seconds(10),
  verifyAgainMax: Duration.minutes(10),
  /** How long a ticket is good unless told otherwise, and at most. */
  ticketExpires: Duration.minutes(10),
  ticketExpiresMax: Duration.days(7),
  /** Tickets that are out at one time. */
  ticketsMax: 64,
  /** Wrong proofs for one ticket, and from one peer within `ticketTriesWithin`. */
  ticketTriesMax: 3,
  ticketTriesWithin: Duration.minutes(10),
  /** From the session to the inviter's answer: it needs nobody's hand. */
  ticketAnswer: Duration.seconds(10),
  /** One alarm about one peer and one other key in this time, and at most so many about one peer. */
  alarmEvery: Duration.hours(1),
  alarmsPerPeerMax: 8,
  /** Alarms that stay open: more than a person would read, so the oldest make room. */
  alarmsMax: 64,
  /** Entries named one by one where problems are listed. */
  problemsShownMax: 100
} as const

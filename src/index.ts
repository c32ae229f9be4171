/**
 * The library's public face, all of it. `Kith.layer` is a whole node; each service is a contract that an app may use,
 * or replace a part behind. What a service fails with stands beside it.
 */
export * as Kith from "./app.ts"
export { limits, NodeConfig, type NodeSettings } from "./config.ts"

export * as Address from "./schema/Address.ts"
export { Alarm } from "./schema/Alarm.ts"
export { Event } from "./schema/Event.ts"
export { Message } from "./schema/Message.ts"
export { Transfer as TransferView } from "./schema/Offer.ts"
export { Peer } from "./schema/Peer.ts"
export { PeerId } from "./schema/PeerId.ts"
export { Verification } from "./schema/Verification.ts"

export { Alarms, UnknownAlarm } from "./services/Alarms.ts"
export { Chat, MessageRefused } from "./services/Chat.ts"
export { type ChangedKey, Connection, NotConnected, SessionError } from "./services/Connection.ts"
export { DataDirectoryError } from "./services/identity/DataDirectory.ts"
export { Database, DatabaseError } from "./services/Database.ts"
export {
  type Datagram,
  DatagramError,
  Datagrams,
  type Endpoint,
  type Interface,
  type Sender
} from "./services/Datagrams.ts"
export { Discovery, type InterfaceReport, type Sighting } from "./services/Discovery.ts"
export { Events } from "./services/Events.ts"
export { FileStore, FileStoreError } from "./services/FileStore.ts"
export { Identity, IdentityError } from "./services/Identity.ts"
export { LinkBuffer } from "./services/transport/LinkBuffer.ts"
export { AmbiguousPeer, type PeerRecord, PeerRegistry, UnknownPeer } from "./services/PeerRegistry.ts"
export { Profile } from "./services/Profile.ts"
export { SpeedCaps } from "./services/SpeedCaps.ts"
export { NotPossible, SendRefused, Transfer, UnknownTransfer } from "./services/Transfer.ts"
export { DialError, type Link, LinkClosed, ListenError, type Protocol, Transport } from "./services/Transport.ts"
export { type Invitation, type JoinError, Trust } from "./services/Trust.ts"
export * from "./schema/TrustFailure.ts"

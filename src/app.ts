/**
 * All wiring, nothing else: which layer stands behind which contract. A node is `layer(settings)`; it starts in
 * dependency order and stops in reverse, so discovery falls silent before sessions end, and those before the listener.
 */
import * as SecureRandom from "effect/crypto/SecureRandom"
import * as Layer from "effect/Layer"
import type { SqlClient } from "effect/sql/SqlClient"
import * as PeerActors from "./actors/peers/PeerActors.ts"
import * as Supervisor from "./actors/Supervisor.ts"
import * as TransferActors from "./actors/transfers/TransferActors.ts"
import * as TrustActors from "./actors/trust/TrustActors.ts"
import { NodeConfig, type NodeSettings } from "./config.ts"
import { Alarms } from "./services/Alarms.ts"
import { Chat } from "./services/Chat.ts"
import type { Connection } from "./services/Connection.ts"
import * as DataDirectory from "./services/identity/DataDirectory.ts"
import { Database, type DatabaseError } from "./services/Database.ts"
import * as DatagramsUdp from "./services/discovery/DatagramsUdp.ts"
import type { Datagrams } from "./services/Datagrams.ts"
import { Discovery } from "./services/Discovery.ts"
import { Events } from "./services/Events.ts"
import * as FileStoreNode from "./services/files/FileStoreNode.ts"
import type { FileStore } from "./services/FileStore.ts"
import { Identity, type IdentityError } from "./services/Identity.ts"
import * as Metrics from "./services/Metrics.ts"
import { MessageStore } from "./services/MessageStore.ts"
import { PeerRegistry } from "./services/PeerRegistry.ts"
import { PeerStore } from "./services/PeerStore.ts"
import { Profile, share } from "./services/Profile.ts"
import { SpeedCaps } from "./services/SpeedCaps.ts"
import { SettingsStore } from "./services/SettingsStore.ts"
import type { Transfer } from "./services/Transfer.ts"
import { TransferStore } from "./services/TransferStore.ts"
import type { ListenError, Transport } from "./services/Transport.ts"
import * as TransportTls from "./services/transport/TransportTls.ts"
import type { Trust } from "./services/Trust.ts"

/** What a running node offers to its faces and to an app that embeds it. */
export type NodeServices =
  | NodeConfig
  | Identity
  | Transport
  | Discovery
  | PeerRegistry
  | Connection
  | Chat
  | Transfer
  | SpeedCaps
  | Trust
  | Events
  | Alarms
  | Profile

/** The parts of the machine a node stands on; a simulation brings its own. */
export type Machine = Identity | Transport | Datagrams | FileStore | Database | SqlClient | SecureRandom.SecureRandom

/** Everything a node is, on whatever machine is given. */
export const layerOn = <E, R>(
  machine: Layer.Layer<Machine, E, R>
): Layer.Layer<Exclude<NodeServices, NodeConfig> | Machine, E | DatabaseError, R | NodeConfig> =>
  Layer.merge(Supervisor.layer, share).pipe(
    Layer.provideMerge(TrustActors.layer),
    Layer.provideMerge(Layer.mergeAll(Discovery.layer, Chat.layer, TransferActors.layer)),
    Layer.provideMerge(SpeedCaps.layer),
    Layer.provideMerge(PeerActors.layer),
    // Before whatever raises one.
    Layer.provideMerge(Layer.mergeAll(PeerRegistry.layer, Alarms.layer)),
    Layer.provideMerge(Events.layer),
    // What runs above reads name and policy as they are now.
    Layer.provideMerge(Profile.layer),
    Layer.provide(Layer.mergeAll(PeerStore.layer, MessageStore.layer, SettingsStore.layer, TransferStore.layer)),
    Layer.provideMerge(machine)
  )

/** Why a node cannot start here. Each says what is wrong and what to do. */
export type MachineError = DataDirectory.DataDirectoryError | DatabaseError | IdentityError | ListenError

/** This machine, with a transport that may ask who this node is: real files, real UDP, and a data directory that nobody else uses meanwhile. */
export const machineWith = <E, R>(
  transport: Layer.Layer<Transport, E, R>
): Layer.Layer<Machine, Exclude<MachineError, ListenError> | E, NodeConfig | Exclude<R, Identity>> =>
  Layer.mergeAll(transport, DatagramsUdp.layer, FileStoreNode.layer).pipe(
    Layer.provideMerge(Identity.layer),
    Layer.provideMerge(Database.layer),
    Layer.provideMerge(SecureRandom.layerWebCrypto),
    // First in and last out: nothing touches the directory of another node.
    Layer.provide(DataDirectory.layer)
  )

/** This machine: links by TLS. */
export const machine: Layer.Layer<Machine, MachineError, NodeConfig> = machineWith(TransportTls.layer)

/** A whole node with these settings. Its scope is its life. */
export const layer = (
  settings: Pick<NodeSettings, "name" | "dataDir"> & Partial<NodeSettings>
): Layer.Layer<NodeServices, MachineError> =>
  layerOn(machine).pipe(Layer.provideMerge(NodeConfig.layer(settings)), Layer.provideMerge(Metrics.layer))

/**
 * The public faces, as types: what a node, a simulated peer and a client provide, need and fail with, all of it to be
 * named by who imports `kith`, `kith/testing` or `kith/client`.
 * The compiler checks what stands here (`npm run check`); running it shows only that the names are there.
 */
import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import {
  Alarms,
  type AmbiguousPeer,
  Chat,
  Connection,
  type DataDirectoryError,
  Database,
  type DatabaseError,
  Datagrams,
  type DialError,
  Discovery,
  Events,
  FileStore,
  Identity,
  type IdentityError,
  type JoinError,
  Kith,
  type ListenError,
  type MessageRefused,
  NodeConfig,
  type NotPossible,
  PeerRegistry,
  Profile,
  type SendRefused,
  type SessionError,
  SpeedCaps,
  Transfer,
  Transport,
  Trust,
  type UnknownAlarm,
  type UnknownPeer,
  type UnknownTransfer
} from "../src/index.ts"
import * as Client from "../src/client.ts"
import {
  type elapse,
  type SimulatedFileStore,
  type SimulatedNetwork,
  SimulatedPeer,
  type Simulation
} from "../src/testing/index.ts"

/** What a member of a contract needs, be it an effect, a stream, or a function that makes one. */
type NeedOf<A> = A extends (...args: never) => infer B
  ? NeedOf<B>
  : A extends Effect.Effect<unknown, unknown, infer R>
    ? R
    : A extends Stream.Stream<unknown, unknown, infer R>
      ? R
      : never
type Needs<Contract> = Contract extends unknown
  ? { [Key in keyof Contract]-?: NeedOf<Contract[Key]> }[keyof Contract]
  : never

type FailureOf<A> = A extends (...args: never) => Effect.Effect<unknown, infer E, unknown> ? E : never

/** Whatever is provided as one of these. */
type In<Tag> = Tag extends { readonly Identifier: infer Id } ? Id : never

describe("kith", () => {
  it("makes a whole node that needs nothing, and says why it may not start", () => {
    expectTypeOf<ReturnType<typeof Kith.layer>>().toEqualTypeOf<Layer.Layer<Kith.NodeServices, Kith.MachineError>>()
    expectTypeOf<Kith.MachineError>().toEqualTypeOf<DataDirectoryError | DatabaseError | IdentityError | ListenError>()
    assert.isFunction(Kith.layer)
  })

  it("names every service that a node provides", () => {
    const links = [Connection, Discovery, Events, Identity, NodeConfig, PeerRegistry, Transport] as const
    const uses = [Alarms, Chat, Profile, SpeedCaps, Transfer, Trust] as const
    expectTypeOf<In<(typeof links | typeof uses)[number]>>().toEqualTypeOf<Kith.NodeServices>()
    const keys = [...links, ...uses].map((service) => service.key)
    assert.lengthOf(new Set(keys), keys.length)
  })

  it("has contracts that need nothing but a scope where they open something", () => {
    expectTypeOf<
      Needs<
        | Alarms["Service"]
        | Chat["Service"]
        | Database["Service"]
        | Events["Service"]
        | Identity["Service"]
        | PeerRegistry["Service"]
        | Profile["Service"]
        | SpeedCaps["Service"]
        | Transfer["Service"]
        | Trust["Service"]
      >
    >().toBeNever()
    expectTypeOf<
      | Needs<Discovery["Service"]>
      | Needs<Transport["Service"]>
      | Needs<Connection["Service"]>
      | Needs<Datagrams["Service"]>
    >().toEqualTypeOf<Scope.Scope>()
    assert.isTrue([FileStore, Database, Datagrams].every((service) => service.key.startsWith("kith/")))
  })

  it("fails by names that it exports", () => {
    expectTypeOf<FailureOf<Chat["Service"]["say"]>>().toEqualTypeOf<MessageRefused>()
    expectTypeOf<FailureOf<Transfer["Service"]["send"]>>().toEqualTypeOf<SendRefused>()
    expectTypeOf<FailureOf<Transfer["Service"]["accept"]>>().toEqualTypeOf<UnknownTransfer | NotPossible>()
    expectTypeOf<FailureOf<PeerRegistry["Service"]["find"]>>().toEqualTypeOf<UnknownPeer | AmbiguousPeer>()
    expectTypeOf<FailureOf<Connection["Service"]["reach"]>>().toEqualTypeOf<DialError | SessionError>()
    expectTypeOf<FailureOf<Trust["Service"]["join"]>>().toEqualTypeOf<JoinError>()
    expectTypeOf<FailureOf<Alarms["Service"]["dismiss"]>>().toEqualTypeOf<UnknownAlarm>()
  })
})

describe("kith/testing", () => {
  it("has simulated peers with the services of a node, which need nothing but a scope", () => {
    expectTypeOf<Kith.NodeServices>().toExtend<SimulatedPeer.PeerServices>()
    expectTypeOf<ReturnType<typeof SimulatedNetwork.make>>().toEqualTypeOf<
      Effect.Effect<SimulatedNetwork.SimulatedNetwork, never, Scope.Scope>
    >()
    expectTypeOf<ReturnType<typeof SimulatedPeer.make>>().toEqualTypeOf<
      Effect.Effect<SimulatedPeer.SimulatedPeer, never, Scope.Scope>
    >()
    expectTypeOf<ReturnType<typeof SimulatedPeer.start>>().toEqualTypeOf<
      Effect.Effect<SimulatedPeer.SimulatedPeer, DatabaseError | ListenError, Scope.Scope>
    >()
    expectTypeOf<ReturnType<typeof SimulatedFileStore.layer>>().toEqualTypeOf<Layer.Layer<FileStore>>()
    assert.isFunction(SimulatedPeer.start)
  })

  it("plays what needs nothing more, and changes neither what it gives nor how it fails", () => {
    const play = (run: typeof Simulation.run, effect: Effect.Effect<number, UnknownPeer>) => run(effect)
    expectTypeOf<ReturnType<typeof play>>().toEqualTypeOf<Effect.Effect<number, UnknownPeer>>()
    const wait = (run: typeof elapse, effect: Effect.Effect<number, UnknownPeer, Chat>) => run(effect)
    expectTypeOf<ReturnType<typeof wait>>().toEqualTypeOf<Effect.Effect<number, UnknownPeer, Chat>>()
    expectTypeOf<Parameters<typeof Simulation.run>[0]>().toEqualTypeOf<Effect.Effect<unknown, unknown>>()
  })
})

describe("kith/client", () => {
  it("is made with an HTTP client alone, and fails by the names that it exports", () => {
    expectTypeOf<ReturnType<typeof Client.make>>().toEqualTypeOf<
      Effect.Effect<Client.KithClient, never, HttpClient.HttpClient>
    >()
    expectTypeOf<Client.MessageRefused>().toExtend<FailureOf<Client.KithClient["messages"]["say"]>>()
    expectTypeOf<Client.DialError | Client.SessionError>().toExtend<FailureOf<Client.KithClient["peers"]["add"]>>()
    expectTypeOf<Client.UnknownPeer>().toExtend<FailureOf<Client.KithClient["peers"]["find"]>>()
    expectTypeOf<NeedOf<Client.KithClient["transfers"]["send"]>>().toBeNever()
    assert.isFunction(Client.make)
  })
})

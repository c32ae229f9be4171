/**
 * How fast time passes in a simulation, for `npm run simulate -- --speed`: twenty whole nodes on one segment find each
 * other, talk, send trees, live through faults, and then are quiet, for twelve simulated minutes. Each part is told by
 * itself, since an hour of silence says nothing about a minute of work: simulated seconds in one second, of this
 * machine and of one core, and what there was to do. It is played twice and the second time is told, since a run of many
 * seeds has warmed up too. Nothing is checked here: the histories of test/simulation are.
 */
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { Chat } from "../src/services/Chat.ts"
import { Transfer } from "../src/services/Transfer.ts"
import * as Simulation from "../src/testing/Simulation.ts"
import * as SimulatedNetwork from "../src/testing/SimulatedNetwork.ts"
import * as SimulatedPeer from "../src/testing/SimulatedPeer.ts"
import { SimulatedRandom } from "../src/testing/SimulatedRandom.ts"

const nodes = 20

/** What is sent: this many files, of up to so many bytes each. */
const files = 20
const fileBytes = 100_000

interface World {
  readonly network: SimulatedNetwork.SimulatedNetwork
  readonly peers: ReadonlyArray<SimulatedPeer.SimulatedPeer>
  readonly random: SimulatedRandom
}

const build = Effect.gen(function* () {
  const network = yield* SimulatedNetwork.make({ seed: 1 })
  const random = SimulatedRandom.make("speed")
  const peers = yield* Effect.forEach(
    Array.from({ length: nodes }, (_, node) => `n${node}`),
    (name) => SimulatedPeer.make(network, name, { accept: "everyone" })
  )
  for (let file = 0; file < files; file++) {
    const bytes = random.bytes(random.between(0, fileBytes))
    for (const { disk } of peers) disk.write(`/src/tree/${file % 4}/f${file}`, bytes)
  }
  const world: World = { network, peers, random }
  return world
})

/** Two that run, or nobody. */
const pair = ({ peers, random }: World): ReadonlyArray<SimulatedPeer.SimulatedPeer> => {
  const at = random.between(0, nodes - 1)
  const chosen = [peers[at], peers[(at + random.between(1, nodes - 1)) % nodes]]
  return chosen.flatMap((peer) => (peer?.isRunning() === true ? [peer] : []))
}

const say = (world: World, toAll: boolean) => {
  const [from, to] = pair(world)
  if (from === undefined || to === undefined) return Effect.void
  return Effect.ignore(from.run(Chat.use((chat) => chat.say("How are you?", toAll ? null : to.id))))
}

const send = (world: World) => {
  const [from, to] = pair(world)
  if (from === undefined || to === undefined) return Effect.void
  return Effect.ignore(from.run(Transfer.use((transfer) => transfer.send(["/src/tree"], [to.id]))))
}

/** Every second something may be done. */
const each = (seconds: number, act: (second: number) => Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    for (let second = 0; second < seconds; second++) {
      yield* Effect.ignore(act(second))
      yield* Effect.sleep("1 second")
    }
  })

/** A word to one every three seconds, and one to all every fifteen. */
const talk = (world: World, second: number) =>
  second % 15 === 0 ? say(world, true) : second % 3 === 0 ? say(world, false) : Effect.void

const fault = Effect.fnUntraced(function* (world: World, second: number) {
  const { network, peers } = world
  const [one, other] = pair(world)
  if (second === 0) network.conditions({ loss: 0.05, jitter: "20 millis", duplication: 0.02, reordering: 0.1 })
  if (second % 5 === 1 && one !== undefined && other !== undefined) network.cut(one.name, other.name)
  if (second % 60 === 10) network.partition(peers.slice(0, 5).map(({ name }) => name))
  if (second % 60 === 30) network.heal()
  if (second % 60 === 40) yield* one?.kill ?? Effect.void
  if (second % 60 === 50) yield* Effect.forEach(peers, (peer) => peer.start)
  if (second % 10 === 5) yield* send(world)
  yield* talk(world, second)
})

const parts: ReadonlyArray<
  readonly [name: string, seconds: number, act: (world: World, second: number) => Effect.Effect<unknown, unknown>]
> = [
  [
    "they start and meet",
    20,
    ({ peers }, second) => (second === 0 ? Effect.forEach(peers, (peer) => peer.start) : Effect.void)
  ],
  ["they talk", 120, talk],
  ["they send", 120, (world, second) => (second % 10 === 0 ? send(world) : Effect.void)],
  ["faults, while they talk and send", 120, fault],
  [
    "quiet again",
    340,
    ({ network }, second) =>
      Effect.sync(() =>
        second === 0 ? network.conditions({ loss: 0, jitter: 0, duplication: 0, reordering: 0 }) : undefined
      )
  ]
]

interface Mark {
  readonly time: number
  readonly cpu: number
  readonly toll: Simulation.Toll
}

const mark = Effect.map(Simulation.Alive, ({ toll }): Mark => {
  const { system, user } = process.cpuUsage()
  return { time: performance.now() / 1000, cpu: (user + system) / 1e6, toll: toll() }
})

const told = (name: string, seconds: number, before: Mark, after: Mark): string => {
  const rate = (took: number) => String(Math.round(seconds / took)).padStart(6)
  const count = (what: keyof Simulation.Toll) =>
    String(Math.round((after.toll[what] - before.toll[what]) / seconds)).padStart(7)
  return [
    name.padEnd(34),
    `${String(seconds).padStart(5)} s`,
    rate(after.time - before.time),
    rate(after.cpu - before.cpu),
    count("events"),
    count("turns"),
    count("fibers")
  ].join(" ")
}

const heading = `${nodes} nodes`.padEnd(41) + " s in 1 s, of CPU; events  turns  fibers in 1 simulated s"

const play = (tell: (line: string) => void): void => {
  const program = Effect.gen(function* () {
    const world = yield* build
    const first = yield* mark
    let passed = 0
    tell(heading)
    for (const [name, seconds, act] of parts) {
      const before = yield* mark
      yield* each(seconds, (second) => act(world, second))
      passed += seconds
      tell(told(name, seconds, before, yield* mark))
    }
    tell(told("in all", passed, first, yield* mark))
  })
  const quiet = Effect.provideService(Effect.scoped(program), References.MinimumLogLevel, "None")
  Simulation.runExit(quiet, { stackTraces: false })
}

/** Prints it. */
export const speed = (): void => {
  play(() => undefined)
  play(console.log)
}

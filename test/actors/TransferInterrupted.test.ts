/**
 * Whatever interrupts a transfer, on either side, at any piece of work and any number of times: it ends with equal
 * trees, and until then nothing half is to be seen. Disks lose what was not synced.
 */
import { assert, describe } from "@effect/vitest"
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { NodeSettings } from "../../src/config.ts"
import { isOver } from "../../src/schema/Offer.ts"
import type { FileStore } from "../../src/services/FileStore.ts"
import { SimulatedDisk } from "../../src/testing/SimulatedDisk.ts"
import * as SimulatedFileStore from "../../src/testing/SimulatedFileStore.ts"
import * as SimulatedNetwork from "../../src/testing/SimulatedNetwork.ts"
import { join, noise, part, quietly, startOn, type TransferNode } from "./TransferNode.ts"

const received = "/received"

/** Numbers below `below` that are the same for the same seed. */
const chance = (seed: number) => {
  let state = (seed * 2654435761 + 12345) >>> 0
  return (below: number): number => {
    state = (Math.imul(state ^ (state >>> 15), 2246822519) + 3266489917) >>> 0
    return ((state ^ (state >>> 13)) >>> 0) % below
  }
}
type Chance = ReturnType<typeof chance>

/** A tree with files of awkward sizes, empty ones, empty directories, and several tops. */
const plant = (disk: SimulatedDisk, random: Chance): ReadonlyArray<string> => {
  const tops = ["tree", "other", "lone"].slice(0, 1 + random(3))
  for (const top of tops) {
    if (top === "lone") {
      disk.write("/lone", noise(random(1000), random(3_000_000)))
      continue
    }
    disk.directory(`/${top}/empty`)
    const files = 1 + random(25)
    for (let i = 0; i < files; i++) {
      const size = [0, 1, random(5000), random(100_000), 1_048_576, random(5_000_000)][random(6)] ?? 0
      disk.write(`/${top}/${["", "a/", "a/b/"][random(3)]}f${i}`, noise(i, size), { executable: random(4) === 0 })
    }
  }
  return tops.map((top) => `/${top}`)
}

/** Walks so slowly that it is offered meanwhile; to come upon an entry is a piece of work. */
const slowly =
  (scan: FileStore["Service"]["scan"], onEntry: () => void): FileStore["Service"]["scan"] =>
  (picked, as) =>
    Stream.rechunk(scan(picked, as), 1).pipe(
      Stream.tap(() => Effect.andThen(Effect.sleep("20 millis"), Effect.sync(onEntry)))
    )

/** One side: its disk stays, its node comes and goes. */
const makeSide = Effect.fnUntraced(function* (
  network: SimulatedNetwork.SimulatedNetwork,
  name: string,
  events: Queue.Enqueue<"crash">,
  { isSlow = false, ...settings }: Partial<NodeSettings> & { readonly isSlow?: boolean } = {}
) {
  const parent = yield* Effect.scope
  const disk = new SimulatedDisk()
  let scope = yield* Scope.fork(parent)
  let isDead = false
  /** Pieces of work until its plug is pulled. */
  let left = Number.POSITIVE_INFINITY
  disk.onWork = () => {
    if (--left !== 0) return
    // All of the machine at once: it says nothing more.
    network.kill(name)
    isDead = true
    disk.crash()
    Queue.offerUnsafe(events, "crash")
  }
  const start = Effect.gen(function* () {
    yield* Scope.close(scope, Exit.void)
    scope = yield* Scope.fork(parent)
    if (isDead) network.boot(name)
    isDead = false
    const store = () => {
      const quick = SimulatedFileStore.make(disk, received, "/data")
      return isSlow ? { ...quick, scan: slowly(quick.scan, () => disk.onWork?.("walk")) } : quick
    }
    return yield* Scope.provide(startOn(network, name, { store, settings }), scope)
  })
  return { disk, start, isDead: () => isDead, pullAfter: (work: number) => void (left = work) }
})

/** A file or a tree, short enough to be read where two differ. */
const summary = (disk: SimulatedDisk, at: string) =>
  new Map(
    [["", disk.read(at)] as const, ...disk.tree(at)].map(([name, bytes]) => [
      name,
      bytes == null ? null : createHash("sha256").update(bytes).digest("hex")
    ])
  )

/** Every file that can be seen is whole, and is what was sent. */
const nothingHalf = (from: SimulatedDisk, to: SimulatedDisk, tops: ReadonlyArray<string>) => {
  for (const name of to.list(received)) {
    if (name === ".kith") continue
    assert.include(tops, `/${name}`)
    assert.deepStrictEqual(summary(to, `${received}/${name}`), summary(from, `/${name}`))
  }
}

/** What the receiver has already of what comes: the same, nearly the same, something else, or nothing. */
const plantHere = (from: SimulatedDisk, to: SimulatedDisk, paths: ReadonlyArray<string>, random: Chance) => {
  for (const top of paths) {
    for (const [name, bytes] of [["", from.read(top)] as const, ...from.tree(top)]) {
      const at = `${received}${top}${name === "" ? "" : `/${name}`}`
      if (bytes == null) continue
      const kind = random(5)
      const copy = bytes.slice()
      if (kind === 1 && copy.length > 0) copy[random(copy.length)] = random(256)
      if (kind < 2) to.write(at, copy)
      else if (kind === 2) to.write(at, noise(random(99), random(2000)))
    }
  }
}

const digestOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

/** The files on a disk below this, by their paths. */
const filesOf = (disk: SimulatedDisk, at: string) =>
  new Map([...disk.tree(at)].flatMap(([name, bytes]) => (bytes === null ? [] : [[name, digestOf(bytes)] as const])))

/** Into a folder that has some of it: whatever interrupts it, every file is whole, and none that was there is lost. */
const merging = Effect.fnUntraced(function* (seed: number) {
  const random = chance(seed * 7 + 1)
  const conflict = seed % 2 === 0 ? ("skip" as const) : ("overwrite" as const)
  const network = yield* SimulatedNetwork.make({ seed, latency: 0 })
  const events = yield* Queue.unbounded<"crash">()
  const [from, to] = [yield* makeSide(network, "alice", events), yield* makeSide(network, "bob", events, { conflict })]
  const paths = plant(from.disk, random)
  plantHere(from.disk, to.disk, paths, random)
  const before = filesOf(to.disk, received)
  const sources = new Map<string, string>()
  for (const top of paths) {
    const lone = from.disk.read(top)
    if (lone !== undefined) sources.set(top.slice(1), digestOf(lone))
    for (const [name, digest] of filesOf(from.disk, top)) sources.set(`${top.slice(1)}/${name}`, digest)
  }
  const known = new Set([...before.values(), ...sources.values()])
  const allWhole = () => {
    for (const [name, digest] of filesOf(to.disk, received)) {
      assert.isTrue(name.startsWith(".kith/") || known.has(digest), `${name} is neither what was there nor what came`)
    }
  }
  let alice: TransferNode = yield* from.start
  let bob: TransferNode = yield* to.start
  const filter = () => !from.isDead() && !to.isDead()
  yield* join(alice, bob, { filter })
  const [sent] = yield* alice.transfer.send(paths, [bob.id])
  assert(sent !== undefined)
  for (let i = 1 + random(5); i > 0; i--) {
    const side = random(3) === 0 ? from : to
    side.pullAfter(1 + random(side === from ? 20 : 60))
    const over = Effect.all([alice.over(sent.id), bob.over(sent.id)])
    const happened = yield* Effect.raceFirst(Effect.as(over, "over" as const), Queue.take(events))
    side.pullAfter(Number.POSITIVE_INFINITY)
    allWhole()
    if (happened === "over") break
    yield* part(alice, bob)
    if (side === from) alice = yield* from.start
    else bob = yield* to.start
    yield* join(alice, bob, { filter })
  }
  const ends = [...(yield* alice.transfer.list), ...(yield* bob.transfer.list)].filter((view) => !isOver(view.state))
  for (const { direction } of ends) yield* (direction === "send" ? alice : bob).over(sent.id)
  allWhole()
  const after = filesOf(to.disk, received)
  const told = `seed ${seed}: ${JSON.stringify(yield* bob.transfer.list)}`
  for (const [name, digest] of sources) {
    if (conflict === "overwrite") assert.strictEqual(after.get(name), digest, `${name}, ${told}`)
    else {
      const [directory, base] = [name.slice(0, name.lastIndexOf("/") + 1), name.slice(name.lastIndexOf("/") + 1)]
      const copies = [base, `${base} (1)`, `${base} (2)`].map((copy) => after.get(`${directory}${copy}`))
      assert.include(copies, digest, `${name}, ${told}`)
      if (before.get(name) === digest) assert.strictEqual(copies[1], undefined, `${name} came once more, ${told}`)
    }
  }
  if (conflict === "skip") for (const [name, digest] of before) assert.strictEqual(after.get(name), digest, name)
}, Effect.scoped)

const history = Effect.fnUntraced(function* (seed: number, isSlow = false) {
  const random = chance(seed)
  const network = yield* SimulatedNetwork.make({ seed, latency: 0 })
  const events = yield* Queue.unbounded<"crash">()
  const [from, to] = [yield* makeSide(network, "alice", events, { isSlow }), yield* makeSide(network, "bob", events)]
  const paths = plant(from.disk, random)
  let alice: TransferNode = yield* from.start
  let bob: TransferNode = yield* to.start
  const filter = () => !from.isDead() && !to.isDead()
  yield* join(alice, bob, { filter })
  const [sent] = yield* alice.transfer.send(paths, [bob.id])
  assert(sent !== undefined)
  const interruptions = 1 + random(6)
  for (let i = 0; i < interruptions; i++) {
    const side = random(2) === 0 ? from : to
    side.pullAfter(1 + random(side === from ? 30 : 60))
    const over = Effect.all([alice.over(sent.id), bob.over(sent.id)])
    const happened = yield* Effect.raceFirst(Effect.as(over, "over" as const), Queue.take(events))
    side.pullAfter(Number.POSITIVE_INFINITY)
    nothingHalf(from.disk, to.disk, paths)
    if (happened === "over") break
    const kind = random(3)
    yield* part(alice, bob)
    if (side === from || kind === 0) alice = yield* from.start
    if (side === to || kind === 1) bob = yield* to.start
    yield* join(alice, bob, { filter })
  }
  const ends = [...(yield* alice.transfer.list), ...(yield* bob.transfer.list)].filter((view) => !isOver(view.state))
  for (const { direction } of ends) yield* (direction === "send" ? alice : bob).over(sent.id)
  nothingHalf(from.disk, to.disk, paths)
  assert.deepStrictEqual(
    // A staging that is made, and not yet written down where it is, when the plug is pulled waits for the cleaning.
    to.disk.list(received).filter((name) => !isSlow || name !== ".kith"),
    paths.map((path) => path.slice(1)).toSorted(),
    `seed ${seed}: ${JSON.stringify([yield* alice.transfer.list, yield* bob.transfer.list])}`
  )
}, Effect.scoped)

describe("a transfer that is interrupted anywhere", () => {
  for (let seed = 1; seed <= 25; seed++) quietly(`ends with equal trees (seed ${seed})`, () => history(seed))
  for (let seed = 101; seed <= 106; seed++) {
    quietly(`ends with equal trees where the walk is slow (seed ${seed})`, () => history(seed, true))
  }
})

describe("a transfer into a folder that has some of it", () => {
  for (let seed = 1; seed <= 16; seed++) {
    quietly(`takes what is missing, whatever interrupts it (seed ${seed})`, () => merging(seed))
  }
})

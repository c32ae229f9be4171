/**
 * How memory grows with what is sent, between two real nodes on loopback. `node bench/growth.ts files [COUNT...]`
 * sends trees of 4-byte files (100,000, and 999,000 with their 1,000 directories, unless told otherwise); `sparse [GIB]` offers one file
 * that is holes all through, and stops once so many GiB of it (4) are safe: the list, the numbering and the journal
 * are those of the whole file. For each end the most memory it ever had. Files are in memory where there is such a
 * place, so what is measured is the nodes.
 */
import { setTimeout as wait } from "node:timers/promises"
import { mkdirSync, statfsSync } from "node:fs"
import { ask, connected, type Node, send } from "./Nodes.ts"
import { gibi, sparse, tree } from "./Payload.ts"
import { cpuOf, Home, peakOf } from "./Processes.ts"

/** Most resident memory that a node may take for so many files, in MiB. */
const allowed = (files: number): number => (files <= 100_000 ? 160 : 512)

const perDirectory = 1000

const filesOf = async (files: number): Promise<boolean> => {
  await using home = new Home("growth")
  const directories = Math.ceil(files / perDirectory)
  const source = tree(home.at("source"), { files, directories, bytes: 4 })
  const { alice, bob } = await connected(home)
  const begun = performance.now()
  await send(alice, [bob], source)
  const seconds = (performance.now() - begun) / 1000
  const entries = files + directories + 1
  const cpu = cpuOf(alice.pid) + cpuOf(bob.pid)
  console.log(
    `${entries.toLocaleString("en")} entries: ${seconds.toFixed(1)} s, ${Math.round(entries / seconds).toLocaleString("en")} entries/s, ${cpu.toFixed(1)} s CPU`
  )
  return report([alice, bob], allowed(files))
}

const report = ([alice, bob]: readonly [Node, Node], most: number): boolean => {
  const [sender, receiver] = [peakOf(alice.pid), peakOf(bob.pid)]
  const isGood = Math.max(sender, receiver) <= most
  console.log(
    `  most memory: sender ${sender.toFixed(0)} MiB, receiver ${receiver.toFixed(0)} MiB; ${isGood ? "within" : "OVER"} ${most} MiB`
  )
  return isGood
}

interface Shown {
  readonly id: string
  readonly state: string
  readonly bytes: number
}

const shownBy = async (node: Node): Promise<ReadonlyArray<Shown>> => {
  const answer = await ask(node, "GET", "/api/transfers")
  return Array.isArray(answer) ? answer : []
}

const sparseOf = async (gib: number): Promise<boolean> => {
  await using home = new Home("growth")
  mkdirSync(home.at("source"))
  // A receiver without the room would refuse it: 1 TiB, or most of what is free.
  const { bavail, bsize } = statfsSync(home.path)
  const size = Math.min(1024, Math.floor((bavail * bsize * 0.9) / gibi))
  const source = sparse(home.at("source", "large"), size * gibi)
  const { alice, bob } = await connected(home)
  const begun = performance.now()
  await ask(alice, "POST", "/api/transfers", { paths: [source], to: null })
  let mark = 1
  for (let bytes = 0; bytes < gib * gibi;) {
    await wait(100)
    const [shown] = await shownBy(bob)
    if (shown === undefined) continue
    if (!["offered", "waiting", "running"].includes(shown.state)) throw new Error(`it is ${JSON.stringify(shown)}`)
    ;({ bytes } = shown)
    if (bytes < mark * gibi) continue
    mark = Math.floor(bytes / gibi) + 1
    console.log(
      `  ${(bytes / gibi).toFixed(1)} GiB: ${peakOf(alice.pid).toFixed(0)}, ${peakOf(bob.pid).toFixed(0)} MiB`
    )
  }
  console.log(`${gib} GiB of ${size} GiB: ${((performance.now() - begun) / 1000).toFixed(1)} s`)
  const isGood = report([alice, bob], allowed(1))
  for (const { id } of await shownBy(alice)) await ask(alice, "POST", `/api/transfers/${id}/cancel`)
  return isGood
}

const [what, ...counts] = process.argv.slice(2)
const numbers = counts.map(Number)
let isGood = true
if (what === "files") {
  for (const files of numbers.length > 0 ? numbers : [100_000, 999_000]) isGood = (await filesOf(files)) && isGood
} else if (what === "sparse") isGood = await sparseOf(numbers[0] ?? 4)
else throw new Error("say what grows: files [COUNT...] or sparse [GIB]")
process.exitCode = isGood ? 0 : 1

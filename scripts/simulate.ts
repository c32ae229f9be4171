/**
 * Plays random histories of whole nodes on simulated networks, on every core: `npm run simulate -- --seeds 1000
 * [--from N]`. A seed that fails is made small and told with the command that shows it: `npm run simulate -- --seed N`
 * plays one with its whole trace. `--fingerprints` prints what must be equal on every machine and version of Node;
 * `--speed` measures 20 nodes. Exits 1 if anything failed.
 */
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { isMainThread, parentPort, Worker } from "node:worker_threads"
import { generate } from "../test/simulation/Generate.ts"
import { type Scenario, show } from "../test/simulation/Scenario.ts"
import { shrink } from "../test/simulation/Shrink.ts"
import { play } from "../test/simulation/Workload.ts"
import { speed } from "./simulation-speed.ts"

interface Played {
  readonly seed: number
  readonly failures: ReadonlyArray<string>
  readonly fingerprint: string
  readonly seconds: number
}

/** Runs that making one failure small may take. */
const shrinkTries = 300

const small = (scenario: Scenario): Scenario => shrink(scenario, (each) => play(each).failures.length > 0, shrinkTries)

const one = (seed: number): void => {
  const scenario = generate(seed)
  const outcome = play(scenario, { stackTraces: true })
  console.log(outcome.trace.join("\n"))
  if (outcome.failures.length === 0) return console.log(`seed ${seed}: nothing is wrong (${outcome.fingerprint})`)
  console.log(`\nseed ${seed}: ${outcome.failures.join("\n")}\n`)
  const smaller = small(scenario)
  const again = play(smaller, { stackTraces: true })
  console.log(`made small: ${show(smaller)}\n${again.failures.join("\n")}\n${again.trace.join("\n")}`)
  console.log(`to keep it (Found.ts): ${JSON.stringify(smaller)}`)
  process.exitCode = 1
}

const many = (first: number, count: number, isListed: boolean): void => {
  const began = performance.now()
  let next = first
  let done = 0
  let simulated = 0
  const failed: Array<number> = []
  const progress = () => {
    const took = (performance.now() - began) / 1000
    const line = `${done} of ${count} seeds, ${failed.length} failed, ${Math.round(simulated / took)} simulated s/s`
    if (process.stderr.isTTY) process.stderr.write(`\r${line} `)
    else if (done % 100 === 0 || done === count) console.error(line)
  }
  const told = (worker: Worker, played: Played) => {
    done++
    simulated += played.seconds
    if (isListed) console.log(`${played.seed} ${played.fingerprint}`)
    if (played.failures.length > 0) {
      failed.push(played.seed)
      process.exitCode = 1
      console.log(`\nseed ${played.seed}: ${played.failures.join("; ")}\n  npm run simulate -- --seed ${played.seed}`)
    }
    progress()
    hand(worker)
  }
  const hand = (worker: Worker) => (next < first + count ? worker.postMessage(next++, []) : void worker.terminate())
  for (let core = 0; core < Math.min(count, availableParallelism()); core++) {
    const worker = new Worker(new URL(import.meta.url))
    worker.on("message", (played: Played) => told(worker, played))
    worker.on("error", (error) => {
      throw error
    })
    hand(worker)
  }
}

if (isMainThread) {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string", default: "200" },
      from: { type: "string", default: "1" },
      seed: { type: "string" },
      fingerprints: { type: "boolean", default: false },
      speed: { type: "boolean", default: false }
    }
  })
  const [seeds, from, seed] = [Number(values.seeds), Number(values.from), Number(values.seed ?? 0)]
  if (![seeds, from, seed].every(Number.isSafeInteger) || seeds < 1) {
    console.error("usage: simulate [--seeds N] [--from N] [--fingerprints] | --seed N | --speed")
    process.exit(2)
  }
  if (values.speed) speed()
  else if (values.seed !== undefined) one(seed)
  else many(from, seeds, values.fingerprints)
} else {
  parentPort?.on("message", (seed: number) => {
    const { failures, fingerprint, seconds } = play(generate(seed))
    parentPort?.postMessage({ seed, failures, fingerprint, seconds } satisfies Played, [])
  })
}

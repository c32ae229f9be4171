/**
 * `npm run bench` runs them all, `npm run bench -- NAME...` some. Prints a table for each, and writes it with a chart to
 * bench/results. `--runs 5` says how often each is repeated, `--scale 1` how much of the real size is taken. Asked for by
 * name, `growth` goes to its full size, which takes minutes.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { cpus, release, totalmem } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { chartOf } from "./Chart.ts"
import { crowd } from "./crowd.ts"
import { type Result, tableOf } from "./Figures.ts"
import { growth } from "./growth.ts"
import { chat, latency, start } from "./talk.ts"
import { group, large, type Options, small } from "./transfers.ts"

const benches: Record<string, (options: Options) => Promise<Result>> = {
  file: large,
  tree: small,
  group,
  latency,
  chat,
  crowd,
  start,
  growth
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: "string", default: "5" }, scale: { type: "string", default: "1" } }
})
const options: Options = { runs: Number(values.runs), scale: Number(values.scale) }
const unknown = positionals.filter((name) => !(name in benches))
const isCount = Number.isInteger(options.runs) && options.runs >= 1 && options.runs <= 100
if (unknown.length > 0 || !isCount || !(options.scale > 0 && options.scale <= 1)) {
  process.stderr.write(
    `${unknown.length > 0 ? `There is no bench "${unknown.join('", "')}".` : "--runs is 1 to 100, --scale above 0 up to 1."}` +
      ` The benches are ${Object.keys(benches).join(", ")}.\n`
  )
  process.exit(2)
}

const machine = {
  processor: cpus()[0]?.model ?? "unknown",
  cores: cpus().length,
  memoryGib: Math.round(totalmem() / 2 ** 30),
  kernel: release(),
  node: process.versions.node,
  openssl: process.versions.openssl,
  date: new Date().toISOString().slice(0, 10)
}
const results = fileURLToPath(new URL("results/", import.meta.url))
mkdirSync(results, { recursive: true })
process.stdout.write(`${Object.values(machine).join(", ")}; medians of ${options.runs} runs\n\n`)
/** Of growth, all of them together take only so much: its largest steps alone take minutes. */
const among = 1 / 8
for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
  const isPart = name === "growth" && positionals.length === 0
  const result = await benches[name]?.(isPart ? { ...options, scale: options.scale * among } : options)
  if (result === undefined) continue
  process.stdout.write(`${tableOf(result)}\n`)
  writeFileSync(`${results}${name}.json`, `${JSON.stringify({ machine, options, ...result }, null, 2)}\n`)
  writeFileSync(`${results}${name}.svg`, chartOf(result))
}

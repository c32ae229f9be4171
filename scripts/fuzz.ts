/**
 * Fuzzes every decoder in turn, for as long as it is told: `npm run fuzz -- --seconds 60 [--seed N] [--only NAME]`.
 * Prints each fault with the input as hex, and for each decoder how many inputs it took. Exits 1 if there was a fault.
 */
import { parseArgs } from "node:util"
import { Chance, decoders, freshSeed, input, probe } from "../test/hostile/Fuzz.ts"

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "30" }, seed: { type: "string" }, only: { type: "string" } }
})
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? freshSeed() : Number(values.seed)
const chosen = decoders.filter(({ name }) => values.only === undefined || name.includes(values.only))
if (!(seconds > 0) || !Number.isSafeInteger(seed) || chosen.length === 0) {
  console.error(
    `usage: fuzz [--seconds N] [--seed N] [--only NAME], one of: ${decoders.map(({ name }) => name).join(", ")}`
  )
  process.exit(2)
}

console.log(`seed ${seed}, ${chosen.length} decoders, ${seconds} s`)
let faults = 0
for (const decoder of chosen) {
  const chance = new Chance(seed)
  const began = performance.now()
  let count = 0
  let slowest = 0
  for (const end = began + (seconds * 1000) / chosen.length; performance.now() < end; count++) {
    const bytes = input(decoder, chance)
    const before = performance.now()
    const fault = probe(decoder, bytes)
    slowest = Math.max(slowest, performance.now() - before)
    if (fault === undefined) continue
    console.log(JSON.stringify({ ...fault, seed, input: count, hex: fault.input }))
    if (++faults > 20) process.exit(1)
  }
  const took = (performance.now() - began) / 1000
  const rate = Math.round(count / took).toLocaleString("en")
  console.log(
    `${decoder.name.padEnd(20)} ${String(count).padStart(9)} inputs, ${rate}/s, slowest ${slowest.toFixed(1)} ms`
  )
}
console.log(faults === 0 ? "no faults" : `${faults} faults`)
process.exit(faults === 0 ? 0 : 1)

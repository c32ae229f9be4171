#!/usr/bin/env node
/**
 * Starts the command on a Node that can run it. Plain JavaScript that every Node since 18 understands: one that is too
 * old for the program hands over to the binary of the `node` package, where that is installed.
 */
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as module from "node:module"
import { fileURLToPath } from "node:url"
import * as v8 from "node:v8"

const wanted = [22, 19]

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
const recent = major > wanted[0] || (major === wanted[0] && minor >= wanted[1])

/** @param {string} line */
const fail = (line) => {
  process.stderr.write(`kith: ${line}\n`)
  process.exitCode = 1
}

/** The binary of the `node` package: beside this package's own dependencies, or beside this package. */
const bundled = () => {
  const name = process.platform === "win32" ? "node.exe" : "node"
  return [`../node_modules/node/bin/${name}`, `../../node/bin/${name}`]
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(path))
}

/** @param {string} node */
const handOver = (node) => {
  const child = spawn(node, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" })
  // Ctrl-C on a terminal reaches both; what is sent to this process alone is passed on.
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  const signals = /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
  for (const signal of signals) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !onTerminal) child.kill(signal)
    })
  }
  child.on("error", (error) => fail(`cannot run ${node}: ${error.message}`))
  child.on("exit", (code, signal) => {
    if (signal === null) return process.exit(code ?? 1)
    for (const caught of signals) process.removeAllListeners(caught)
    process.kill(process.pid, signal)
  })
}

const run = () => {
  const program = ["../dist/bundle/main.js", "../dist/main.js"]
    .map((path) => new URL(path, import.meta.url))
    .find((url) => existsSync(url))
  if (program === undefined) return fail("it is not built yet. Run: npm run build")
  // SQLite is marked experimental in older versions of Node that run it well; every other warning is shown.
  const emitWarning = process.emitWarning
  process.emitWarning = (warning, ...rest) => {
    if (!(String(warning).includes("SQLite is an experimental feature") && rest[0] === "ExperimentalWarning")) {
      Reflect.apply(emitWarning, process, [warning, ...rest])
    }
  }
  // Compiled code is kept between runs: a verb answers in half the time.
  module.enableCompileCache?.()
  return import(program.href)
}

/**
 * A node that stays is kept small: left alone, V8 gives some 50 MiB to young objects, and lets dead ones that grew old
 * lie until they are 150 MiB (docs/PERFORMANCE.md). Instead the space of the young grows no more than it has at the
 * start, and the old are collected with every 50 % that they grow. Said once the program is loaded: before, it would
 * only slow down its start.
 */
const lean = ["--semi-space-growth-factor=1", "--heap-growing-percent=50"]

const stayLean = () => {
  const [verb] = process.argv.slice(2)
  const stays = verb === undefined || verb === "up" || verb.startsWith("-")
  const chosen = [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((one) => one.includes("semi-space"))
  if (stays && !chosen) for (const flag of lean) v8.setFlagsFromString(flag)
}

if (recent) {
  await run()
  stayLean()
} else {
  const node = bundled()
  if (node === undefined) {
    fail(`this is Node ${process.versions.node}, and Node ${wanted.join(".")} or newer is needed`)
  } else handOver(node)
}

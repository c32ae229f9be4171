/**
 * A stage for tests of the page: real nodes as processes on loopback, and Debian's chromium over them. Everything ends
 * with its scope. Where there is no chromium the tests are skipped, with one line that says so.
 */
import { layer } from "@effect/vitest"
import axe from "axe-core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { type Browser as Chromium, chromium, type Page } from "playwright-core"
import { start } from "../cli/Run.ts"

const program = process.env["KITH_CHROMIUM"] ?? "/usr/bin/chromium"

export const isMissing = !existsSync(program)
if (isMissing) console.log(`skipped: the tests of the page need chromium, and there is none at ${program}`)

/** Where screenshots are kept to be looked at. */
const pictures = fileURLToPath(new URL("../../test-output/page/", import.meta.url))

/** Longest wait for anything that a person would see at once, on a machine that has much else to do. */
const patience = 20_000

export class Browser extends Context.Service<Browser, Chromium>()("test/browser/Browser") {
  static readonly layer = Layer.effect(
    this,
    Effect.acquireRelease(
      Effect.promise(() =>
        chromium.launch({
          executablePath: program,
          headless: true,
          args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"].concat([
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync"
          ])
        })
      ),
      (browser) => Effect.promise(() => browser.close())
    )
  )
}

/** The tests of one file, on one browser, which is not started where all of them are skipped. */
export const stage = layer(Browser.layer, { excludeTestServices: true })

/** What `stage` gives to the tests of a file. */
export type Stage = Parameters<Extract<Parameters<typeof stage>[1], (...args: never) => unknown>>[0]

export const temporary = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "kith-page-"))),
  (dir) => Effect.sync(() => rmSync(dir, { recursive: true, force: true }))
)

const freePort = Effect.callback<number>((resume) => {
  const server = createServer()
  server.listen(0, "127.0.0.1", () => {
    const address = server.address() as AddressInfo
    server.close(() => resume(Effect.succeed(address.port)))
  })
})

/** Where a node listens, if that matters. */
export interface Place {
  readonly port?: string
  readonly api?: string
}

/** A node that can be stopped and started again where it was. */
export const nodeAt = Effect.fnUntraced(function* (name: string, place: Place, ...args: ReadonlyArray<string>) {
  const dir = yield* temporary
  const received = join(dir, "received_files")
  const ports = { port: place.port ?? String(yield* freePort), api: place.api ?? String(yield* freePort) }
  const given = ["up", "--data-dir", join(dir, "data"), "--received", received, "--name", name, "--no-discovery"]
  const all = [...given, "--host", "127.0.0.1", "--port", ports.port, "--api-port", ports.api, ...args]
  /** Starts it, or another build of it. */
  const upFrom = Effect.fnUntraced(function* (main?: string) {
    const running = yield* start(all, main === undefined ? {} : { main })
    yield* running.until((printed) => printed.includes("API "))
    return running
  })
  const up = upFrom()
  const control = Effect.sync((): { readonly url: string; readonly token: string } =>
    JSON.parse(readFileSync(join(dir, "data", "control.json"), "utf8"))
  )
  /** Asks the API as a script would. */
  const ask = <A = unknown>(method: string, path: string, body?: unknown) =>
    Effect.gen(function* () {
      const { token, url } = yield* control
      return yield* Effect.promise(async (): Promise<A> => {
        const response = await fetch(url + path, {
          method,
          headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
          ...(body !== undefined && { body: JSON.stringify(body) })
        })
        const text = await response.text()
        if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
        return JSON.parse(text === "" ? "null" : text)
      })
    })
  const first = yield* up
  /** Stops it as a person does, and waits until it is gone. */
  const down = (running: typeof first) =>
    Effect.promise(async () => {
      running.child.kill("SIGTERM")
      await running.ended
    })
  return { name, dir, received, ports, address: `127.0.0.1:${ports.port}`, up, upFrom, down, first, ask }
})
export const node = (name: string, ...args: ReadonlyArray<string>) => nodeAt(name, {}, ...args)
export type Node = Effect.Success<ReturnType<typeof node>>

/** Two nodes that know each other. */
export const pair = Effect.gen(function* () {
  const [alice, bob] = yield* Effect.all([node("alice"), node("bob")], { concurrency: 2 })
  yield* alice.ask("POST", "/api/peers", { address: bob.address })
  return { alice, bob }
})

export interface Look {
  readonly width?: number
  readonly height?: number
  readonly theme?: "light" | "dark" | "contrast"
  /** Whether to go to the page by its link; else by its plain address. */
  readonly link?: boolean
  /** Whether the browser may keep the shell of the page; what it then answers, no test can answer instead. */
  readonly worker?: boolean
  readonly permissions?: ReadonlyArray<string>
}

/** What went wrong in a page without a person seeing it. */
export class Trouble {
  readonly errors: Array<string> = []
  /** Addresses of other origins that were asked for. */
  readonly foreign: Array<string> = []
}

/** Opens the page of a node as a person would, and notes everything that it should not do. */
export const open = Effect.fnUntraced(function* (of: Node, look: Look = {}) {
  const browser = yield* Browser
  const context = yield* Effect.acquireRelease(
    Effect.promise(() =>
      browser.newContext({
        viewport: { width: look.width ?? 1360, height: look.height ?? 850 },
        colorScheme: look.theme === "dark" ? "dark" : "light",
        locale: "en-GB",
        reducedMotion: "reduce",
        serviceWorkers: look.worker === true ? "allow" : "block",
        permissions: ["clipboard-read", "clipboard-write", ...(look.permissions ?? [])]
      })
    ),
    (context) => Effect.promise(() => context.close())
  )
  const trouble = new Trouble()
  const page = yield* Effect.promise(() => context.newPage())
  page.setDefaultTimeout(patience)
  const { url } = yield* of.ask<{ readonly url: string }>("POST", "/api/code")
  const origin = new URL(url).origin
  page.on("pageerror", (error) => trouble.errors.push(String(error)))
  page.on("console", (message) => {
    // What the node refuses, and a node that is away, are the business of each test; the browser calls both an error.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      trouble.errors.push(message.text())
  })
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`) && !request.url().startsWith("blob:"))
      trouble.foreign.push(request.url())
  })
  if (look.theme === "contrast") {
    yield* Effect.promise(() => page.addInitScript({ content: `localStorage.setItem("kith.theme", "contrast")` }))
  }
  yield* Effect.promise(() => page.goto(look.link === false ? origin : url))
  return { page, trouble, origin, context }
})

/** A picture of what the page shows, for people to look at. */
export const picture = (page: Page, name: string) =>
  Effect.promise(async () => {
    mkdirSync(pictures, { recursive: true })
    await page.screenshot({ path: join(pictures, `${name}.png`) })
  })

const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

/** What axe finds against this state of the page, one line a finding. */
export const audit = (page: Page) =>
  Effect.promise(async (): Promise<ReadonlyArray<string>> => {
    // Given to the page by the debugger, which its content policy does not bind. As text: nothing here knows a DOM.
    await page.evaluate(axe.source)
    return page.evaluate(`axe.run(document, { runOnly: ${JSON.stringify(rules)} }).then(({ violations }) =>
      violations.flatMap(({ id, nodes }) =>
        nodes.map((node) => id + ": " + node.html.slice(0, 160) + " " + node.failureSummary)))`)
  })

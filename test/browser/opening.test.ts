/** How the page is opened and by whom, and what it says when its node is gone, back, or another one. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cpSync, globSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { gzipSync } from "node:zlib"
import { act, clean, sees } from "./Acts.ts"
import { audit, isMissing, node, nodeAt, open, pair, picture, type Stage, stage, temporary } from "./Stage.ts"

const all = (it: Stage) => {
  it.effect("paints within a second, and takes its code out of the address", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page, trouble } = yield* open(alice)
      yield* act(() => page.getByText("Nobody yet").waitFor())
      const painted = yield* Effect.promise(() =>
        page.evaluate<number>(`performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? Infinity`)
      )
      assert.isBelow(painted, 1000, "first paint")
      const scripts = globSync(fileURLToPath(new URL("../../dist/web/assets/*.js", import.meta.url)))
      const weight = scripts.reduce((sum, file) => sum + gzipSync(readFileSync(file), { level: 9 }).length, 0)
      assert.isBelow(weight, 200_000, "bytes of scripts, after gzip")
      assert.notInclude(page.url(), "code=")
      yield* picture(page, "empty-light")
      clean(trouble)
    })
  )

  it.effect("opens for nobody without a link, and each link once", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const stranger = yield* open(alice, { link: false })
      yield* act(() => stranger.page.getByRole("heading", { name: "Open Kith from its link" }).waitFor())
      assert.deepStrictEqual(yield* audit(stranger.page), [])
      yield* picture(stranger.page, "locked-light")
      const { url } = yield* alice.ask<{ readonly url: string }>("POST", "/api/code")
      const owner = yield* open(alice, { theme: "contrast" })
      yield* act(async () => {
        await owner.page.goto(url)
        await owner.page.getByText("Nobody yet").waitFor()
        await owner.page.reload()
        await owner.page.getByText("Nobody yet").waitFor()
      })
      assert.strictEqual(yield* Effect.promise(() => owner.page.evaluate<string>("document.cookie")), "")
      yield* act(async () => {
        await stranger.page.goto("about:blank")
        await stranger.page.goto(url)
        await stranger.page.getByRole("heading", { name: "This link was used already" }).waitFor()
      })
      yield* picture(stranger.page, "used-light")
      assert.deepStrictEqual(yield* audit(stranger.page), [])
    })
  )

  it.effect("says that its node is gone, and goes on by itself when it is back", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { page } = yield* open(alice)
      yield* act(() => page.getByRole("button", { name: /^bob/ }).waitFor())
      yield* alice.down(alice.first)
      yield* act(() => page.getByText(/The node does not answer/).waitFor())
      yield* picture(page, "lost-light")
      assert.deepStrictEqual(yield* audit(page), [])
      yield* alice.up
      yield* act(() => page.getByText("Connected to the node again.").waitFor())
      yield* bob.ask("POST", "/api/peers", { address: alice.address })
      yield* bob.ask("POST", "/api/messages", { text: "are you back?", to: null })
      yield* sees(page, "are you back?")
    })
  )

  it.effect("tells nothing to another node that listens where its own did", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice, { theme: "dark" })
      yield* act(() => page.getByText("Nobody yet").waitFor())
      yield* alice.down(alice.first)
      const tokens: Array<string | undefined> = []
      page.on("request", (request) => tokens.push(request.headers()["authorization"]))
      yield* act(() => page.getByText(/The node does not answer/).waitFor())
      tokens.length = 0
      yield* nodeAt("mallory", { api: alice.ports.api })
      yield* act(() => page.getByText(/Another node answers here now/).waitFor())
      yield* picture(page, "stranger-dark")
      yield* act(async () => {
        await page.reload()
        await page.getByRole("heading", { name: "This is another node" }).waitFor()
      })
      yield* picture(page, "stranger-reloaded-dark")
      assert.deepStrictEqual(yield* audit(page), [])
      assert.deepStrictEqual(
        tokens.filter((token) => token !== undefined),
        []
      )
    })
  )

  it.effect("is locked once its token is no longer good", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice)
      yield* act(async () => {
        await page.getByText("Nobody yet").waitFor()
        // Also by a node that proves to know the token and refuses it all the same.
        await page.route(
          (url) => url.pathname === "/api/events",
          (route) => route.fulfill({ status: 401, json: {} })
        )
        await page.reload()
        await page.getByRole("heading", { name: "The node does not know this page any more" }).waitFor()
      })
      yield* picture(page, "refused-light")
      assert.deepStrictEqual(yield* audit(page), [])
    })
  )

  it.effect("notices a machine that slept, its own or the node's, and shows what came meanwhile", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const { context, page } = yield* open(alice)
      const say = (text: string) => bob.ask("POST", "/api/messages", { text, to: null })
      yield* act(() => page.getByRole("button", { name: /^bob/ }).waitFor())
      const session = yield* Effect.promise(() => context.newCDPSession(page))
      yield* Effect.promise(() => session.send("Page.setWebLifecycleState", { state: "frozen" }))
      yield* say("while the page slept")
      yield* Effect.promise(() => session.send("Page.setWebLifecycleState", { state: "active" }))
      yield* sees(page, "while the page slept")
      // Its connections stay open, and nothing comes by them any more.
      alice.first.child.kill("SIGSTOP")
      yield* act(() => page.getByText(/The node does not answer/).waitFor())
      yield* say("while the node slept")
      alice.first.child.kill("SIGCONT")
      yield* act(() => page.getByText("Connected to the node again.").waitFor())
      yield* sees(page, "while the node slept")
    })
  )

  it.effect("takes up a new build of itself, and lets go of what the old one kept", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { page } = yield* open(alice, { worker: true })
      const keptBy = () => Effect.promise(() => page.evaluate<ReadonlyArray<string>>("caches.keys()"))
      yield* act(() => page.getByText("Nobody yet").waitFor())
      yield* Effect.promise(() => page.evaluate("navigator.serviceWorker.ready.then(() => undefined)"))
      const [old = ""] = yield* keptBy()
      assert.match(old, /^kith \w+$/)
      const built = yield* temporary
      cpSync(fileURLToPath(new URL("../../dist", import.meta.url)), join(built, "dist"), { recursive: true })
      const worker = join(built, "dist/web/sw.js")
      const text = readFileSync(worker, "utf8")
      const version = old.slice("kith ".length)
      assert.include(text, version)
      writeFileSync(worker, text.replace(version, "another"))
      yield* alice.down(alice.first)
      yield* alice.upFrom(join(built, "dist/bundle/main.js"))
      yield* act(async () => {
        await page.reload()
        await page.waitForFunction(`caches.keys().then((names) => names.join() === "kith another")`)
      })
    })
  )

  it.effect("can be installed, and opens while its node is stopped", () =>
    Effect.gen(function* () {
      const alice = yield* node("alice")
      const { context, origin, page, trouble } = yield* open(alice, { worker: true })
      const problems = yield* Effect.promise(async () => {
        await page.getByText("Nobody yet").waitFor()
        await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
        const session = await context.newCDPSession(page)
        const { installabilityErrors } = await session.send("Page.getInstallabilityErrors")
        return installabilityErrors.map(({ errorId }) => errorId)
      })
      // A test's browser forgets everything, in which nothing is installed.
      assert.deepStrictEqual(
        problems.filter((problem) => problem !== "in-incognito"),
        []
      )
      clean(trouble)
      yield* alice.down(alice.first)
      yield* act(async () => {
        await page.reload()
        await page.getByRole("heading", { name: "The node does not answer" }).waitFor()
      })
      yield* picture(page, "offline-light")
      assert.deepStrictEqual(yield* audit(page), [])
      const stray = yield* Effect.promise(() =>
        page.evaluate<ReadonlyArray<string>>(`(async () => {
          const found = []
          for (const name of await caches.keys())
            for (const { url } of await (await caches.open(name)).keys()) found.push(new URL(url).pathname)
          return found.filter((path) => path !== "/" && !/^[/](assets|page)[/]/.test(path))
        })()`)
      )
      assert.deepStrictEqual(stray, [], "nothing but the shell is kept")
      yield* alice.up
      yield* act(() => page.getByText("Nobody yet").waitFor())
      assert.include(page.url(), origin)
    })
  )
}

if (isMissing) describe.skip("opening the page", () => void it("needs chromium", () => undefined))
else stage("opening the page", all)

/** A directory of 200 MiB, dragged from one page and watched arriving on the other while people talk in both. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { randomBytes } from "node:crypto"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Page } from "playwright-core"
import { act, card, clean, drag, say, sees, talkTo, tree } from "./Acts.ts"
import { isMissing, open, pair, picture, type Stage, stage, temporary } from "./Stage.ts"

const mebibyte = 1024 * 1024

/** Four large files, four hundred small ones in folders of ten, and a folder with nothing in it: 200 MiB. */
const archive = Effect.gen(function* () {
  const folder = join(yield* temporary, "archive")
  mkdirSync(join(folder, "empty"), { recursive: true })
  for (let at = 0; at < 4; at++) writeFileSync(join(folder, `film ${at}.bin`), randomBytes(40 * mebibyte))
  for (let at = 0; at < 400; at++) {
    const below = join(folder, `day ${Math.floor(at / 10)}`)
    mkdirSync(below, { recursive: true })
    writeFileSync(join(below, `${at}.raw`), randomBytes(mebibyte / 10))
  }
  return folder
})

/** How far the bar of a transfer was, each time that it moved, until the transfer is over. */
const watch = (page: Page, name: string, end: string) =>
  Effect.promise(async () => {
    const seen = new Set<number>()
    const bar = page.getByRole("progressbar", { name: `${name}: progress` })
    while (!(await card(page, end).isVisible())) {
      const now = await bar.getAttribute("aria-valuenow", { timeout: 500 }).catch(() => null)
      if (now !== null) seen.add(Number(now))
    }
    return [...seen]
  })

const all = (it: Stage) => {
  it.effect("arrives whole, is seen arriving, and holds up no word", () =>
    Effect.gen(function* () {
      const { alice, bob } = yield* pair
      const folder = yield* archive
      // As slow as a home's network, so that it can be watched.
      yield* bob.ask("PATCH", "/api/caps", { receive: 40_000_000 })
      const left = yield* open(alice)
      const right = yield* open(bob, { theme: "dark" })
      yield* talkTo(left.page, "bob")
      yield* talkTo(right.page, "alice")
      yield* drag(left.page, left.page.getByRole("region", { name: "Conversation" }), folder)
      yield* act(async () => {
        const dialog = left.page.getByRole("dialog", { name: "Send these files" })
        await dialog.getByText("404 files, 42 folders").waitFor()
        await dialog.getByRole("button", { name: "Send", exact: true }).click()
        await card(left.page, "archive, handing over").waitFor()
      })
      yield* say(left.page, "it is on its way to my node")
      yield* sees(right.page, "it is on its way to my node")
      yield* act(() =>
        card(right.page, "Offer: archive").getByRole("button", { name: "Accept" }).click({ timeout: 60_000 })
      )
      const watching = yield* Effect.forkChild(watch(right.page, "archive", "archive, Received"))
      yield* act(() => card(right.page, "archive, Receiving").getByText(/left$/).waitFor())
      yield* picture(right.page, "large-dark")
      for (let at = 0; at < 4; at++) {
        yield* say(left.page, `from here ${at}`)
        yield* sees(right.page, `from here ${at}`)
        yield* say(right.page, `and back ${at}`)
        yield* sees(left.page, `and back ${at}`)
      }
      assert.isTrue(
        yield* Effect.promise(() => card(right.page, "archive, Receiving").isVisible()),
        "what was said came while it was under way"
      )
      const seen = yield* Fiber.join(watching)
      assert.isAbove(seen.filter((at) => at > 0 && at < 100).length, 3, `the bar was seen at ${seen.join(", ")}`)
      yield* act(() => card(left.page, "archive, Sent").waitFor())
      yield* picture(left.page, "large-light")
      assert.deepStrictEqual(tree(join(bob.received, "archive")), tree(folder))
      clean(left.trouble)
      clean(right.trouble)
    })
  )
}

if (isMissing) describe.skip("a large directory", () => void it("needs chromium", () => undefined))
else stage("a large directory", all)

/** What people do with a page, and what they look for in it, by the words that they see and hear. */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Locator, Page } from "playwright-core"
import type { Trouble } from "./Stage.ts"

export const act = (run: () => Promise<unknown>) => Effect.asVoid(Effect.promise(run))

/** Nothing happened in the page that nobody sees. */
export const clean = (trouble: Trouble) => {
  assert.deepStrictEqual(trouble.errors, [])
  assert.deepStrictEqual(trouble.foreign, [])
}

export const peersOf = (page: Page) => page.getByRole("navigation", { name: "Peers" })

export const talkTo = (page: Page, name: string | RegExp) =>
  act(() => peersOf(page).getByRole("button", { name }).click())

export const say = (page: Page, text: string) =>
  act(async () => {
    await page.getByRole("textbox", { name: /^Message/ }).fill(text)
    await page.keyboard.press("Enter")
  })

export const sees = (page: Page, text: string | RegExp) =>
  act(() => page.getByText(text, { exact: true }).first().waitFor())

/** The card of a transfer, by the beginning of what it is called. */
export const card = (page: Page, name: string | RegExp) => page.getByRole("article", { name })

/** Drags files and directories of this machine onto a place of the page, as from a file manager. */
export const drag = (page: Page, onto: Locator, ...paths: ReadonlyArray<string>) =>
  act(async () => {
    const box = await onto.boundingBox()
    if (box === null) throw new Error("there is no such place to drop on")
    const session = await page.context().newCDPSession(page)
    const at = { x: box.x + box.width / 2, y: box.y + Math.min(box.height / 2, 40) }
    const data = { items: [], files: [...paths], dragOperationsMask: 1 }
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await session.send("Input.dispatchDragEvent", { type, ...at, data })
    }
    await session.detach()
  })

/** Every file and directory below a folder, files with their digest. */
export const tree = (top: string): ReadonlyArray<string> =>
  readdirSync(top, { recursive: true, withFileTypes: true })
    .map((entry) => {
      const path = join(entry.parentPath, entry.name)
      const digest = entry.isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "directory"
      return `${path.slice(top.length)} ${digest}`
    })
    .toSorted()

/** How far the page can be scrolled sideways, which it never should. */
export const overflow = (page: Page) =>
  Effect.promise(() =>
    page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth")
  )

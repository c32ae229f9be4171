/** What must be true of what lies on the disks: whole versions of what was sent, under names of its own, nothing else. */
import type { Transfer as View } from "../../src/schema/Offer.ts"
import { reservedTop } from "../../src/schema/RelativePath.ts"
import type { DiskEntry } from "../../src/testing/SimulatedDisk.ts"
import { leaves, treeOf } from "./Sources.ts"
import type { Actor, Sent, Stage } from "./Stage.ts"

/** A name that was taken: "f1 (2)" stands for "f1". */
const original = (path: string): string => path.replaceAll(/ \(\d+\)(?=\/|$)/g, "")

/** What may be there of a transfer: the paths that were taken of its tree. */
const shapesOf = (stage: Stage, { id, tree }: Pick<Sent, "id" | "tree">): ReadonlyArray<ReadonlySet<string>> => {
  const all = stage.sources.paths(tree)
  return (stage.taken.get(id) ?? [null]).map((paths) =>
    paths === null ? all : new Set([...all].filter((path) => paths.has(path) || path === ""))
  )
}

const isEqual = (one: ReadonlySet<string>, other: ReadonlySet<string>) =>
  one.size === other.size && [...one].every((each) => other.has(each))

/** Whether what is there may differ from what was offered: its source was changed, or it was put together with others. */
const isLoose = (stage: Stage, to: Actor, tree: number): boolean =>
  stage.merged.has(`${to.number} ${tree}`) || stage.actors.some(({ number }) => stage.sources.isChanged(number, tree))

/** Files that were found whole, until they may have been lost by a crash. */
const seen = new WeakMap<DiskEntry, number>()

const problemOf = (stage: Stage, actor: Actor, visible: string): string | undefined => {
  const { disk, received } = actor.peer
  const tree = treeOf(visible)
  const entry = disk.find(`${received}/${visible}`)
  if (tree === undefined || entry === undefined) return "which nobody sent"
  const found = leaves(entry)
  for (const [path, leaf] of found) {
    if (seen.get(leaf) === disk.generation) continue
    if (!stage.sources.isVersion(tree, original(path), leaf)) return `where ${path} is not as it was sent`
    seen.set(leaf, disk.generation)
  }
  const offers = stage.sent.filter(({ to, tree: of }) => to === actor.number && of === tree)
  const isUnsure = stage.unsure.some(({ to, tree: of }) => to === actor.number && of === tree)
  if (isLoose(stage, actor, tree)) return undefined
  const paths = new Set(found.keys())
  const shapes = [
    ...offers.flatMap((offer) => shapesOf(stage, offer)),
    ...(isUnsure ? [stage.sources.paths(tree)] : [])
  ]
  return shapes.some((shape) => isEqual(shape, paths)) ? undefined : `which has only ${[...paths].join(" ")}`
}

/** What is published, by tree: how many copies. Nothing else may be visible, and nothing partial. */
export const checkDisk = (stage: Stage, actor: Actor): ReadonlyMap<number, number> => {
  const { disk, name, received } = actor.peer
  const copies = new Map<number, number>()
  for (const visible of disk.list(received)) {
    if (visible === reservedTop) continue
    const problem = problemOf(stage, actor, visible)
    if (problem !== undefined) stage.failures.push(`${name} shows ${visible}, ${problem}`)
    const tree = treeOf(visible)
    if (tree !== undefined) copies.set(tree, (copies.get(tree) ?? 0) + 1)
  }
  for (const [tree, count] of copies) {
    const isIt = ({ to, tree: of }: { readonly to: number; readonly tree: number }) =>
      to === actor.number && of === tree
    const offered = stage.sent.filter(isIt).length + stage.unsure.filter(isIt).length
    if (count > offered) stage.failures.push(`${name} has ${count} copies of tree ${tree}, of ${offered} sent`)
  }
  const outside = [
    ...disk.list("/").filter((each) => each !== "home" && each !== "src"),
    ...disk.list("/home").filter((each) => each !== name),
    ...disk.list(`/home/${name}`).filter((each) => each !== ".kith" && each !== "received_files")
  ]
  if (outside.length > 0) stage.failures.push(`${name} wrote outside of where it may: ${outside.join(" ")}`)
  return copies
}

/** What is said to be published is there: everything that was taken of it, and no other transfer has the same. */
export const checkPublished = (stage: Stage, actor: Actor, list: ReadonlyArray<View>): void => {
  const { disk, name } = actor.peer
  const known = new Set<string>()
  for (const view of list) {
    const offer = stage.sent.find(({ id }) => id === view.id)
    if (view.direction !== "receive" || view.state !== "done" || offer === undefined) continue
    const isMerged = stage.merged.has(`${actor.number} ${offer.tree}`)
    const what = `${name} has of ${stage.trace.readable(view.id)}`
    if (view.published.length !== 1 && !isMerged) stage.failures.push(`${what} ${view.published.length} names`)
    for (const path of view.published) {
      if (known.has(path) && !isMerged) stage.failures.push(`${what} ${path}, and of another too`)
      known.add(path)
      const entry = disk.find(path)
      if (entry === undefined) {
        stage.failures.push(`${what} nothing at ${path}`)
        continue
      }
      const found = new Set([...leaves(entry).keys()].map(original))
      const isWhole = shapesOf(stage, offer).some((shape) => [...shape].every((each) => found.has(each)))
      if (!isWhole && !stage.sources.isChanged(offer.from, offer.tree)) {
        stage.failures.push(`${what} only ${[...found].join(" ")}`)
      }
    }
  }
}

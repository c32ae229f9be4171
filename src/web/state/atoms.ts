/**
 * How components read and change atoms. One registry holds the state of the page and lives as long as the page does.
 */
import type * as Atom from "effect/reactivity/Atom"
import * as AtomRegistry from "effect/reactivity/AtomRegistry"
import { useCallback, useSyncExternalStore } from "react"

export const registry = AtomRegistry.make({ defaultIdleTTL: 400 })

/** The value of an atom, and another rendering whenever it changes. */
export const useAtomValue = <A>(atom: Atom.Atom<A>): A =>
  useSyncExternalStore(
    useCallback((changed) => registry.subscribe(atom, changed), [atom]),
    () => registry.get(atom)
  )

/** A whole node with its API, alone on its data directory: everything that `up` runs, and all that is slow to load. */
import * as Layer from "effect/Layer"
import * as LoopbackServer from "../api/LoopbackServer.ts"
import * as Kith from "../app.ts"
import type { NodeSettings } from "../config.ts"
import { acquire } from "../services/DataDirectory.ts"

export const layer = (settings: NodeSettings) =>
  LoopbackServer.layer.pipe(
    Layer.provideMerge(Kith.layer(settings)),
    // First in and last out: nothing touches the directory of another node.
    Layer.provideMerge(Layer.effectDiscard(acquire(settings.dataDir)))
  )

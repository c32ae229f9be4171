/** A whole node with its API: everything that `up` runs, and all that is slow to load. */
import * as Layer from "effect/Layer"
import * as LoopbackServer from "../api/LoopbackServer.ts"
import * as Kith from "../app.ts"
import type { NodeSettings } from "../config.ts"

export const layer = (settings: NodeSettings) => LoopbackServer.layer.pipe(Layer.provideMerge(Kith.layer(settings)))

/** What `kith/testing` gives to those who test what they build on Kith. */
export { SimulatedDisk } from "./SimulatedDisk.ts"
export * as SimulatedFileStore from "./SimulatedFileStore.ts"
export * as SimulatedNetwork from "./SimulatedNetwork.ts"
export * as SimulatedPeer from "./SimulatedPeer.ts"
export { SimulatedRandom } from "./SimulatedRandom.ts"
export { elapse } from "./SimulatedTime.ts"
export * as Simulation from "./Simulation.ts"

/** What `kith/testing` gives to those who test what they build on Kith. */
export * as SimulatedNetwork from "./SimulatedNetwork.ts"
export { SimulatedRandom } from "./SimulatedRandom.ts"
export { elapse } from "./SimulatedTime.ts"

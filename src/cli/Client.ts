/**
 * Finds the node of a data directory and talks to its API. The token is shown only to a server that has proved it
 * knows it: after a crash, a stranger may listen on the port that control.json names. Ends with its scope.
 */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { randomBytes } from "node:crypto"
import * as ControlFile from "../api/ControlFile.ts"
import { equal, prove } from "../api/Proof.ts"
import { Api } from "../schema/Api.ts"
import { Failed, NoNode } from "./Ending.ts"

export type Client = HttpApiClient.ForApi<typeof Api>

/** A node answers within milliseconds; a stranger must not hold a verb up. */
const proofPatience = "2 seconds"

/** How to start the node of this directory. */
const startOf = (dataDir: string, isDefault: boolean) =>
  isDefault ? "kith up" : `kith up --data-dir ${/^[\w./~-]+$/.test(dataDir) ? dataDir : JSON.stringify(dataDir)}`

/** A client of the node that runs on this data directory. */
export const connect = Effect.fn("Client.connect")(function* (dataDir: string, isDefault: boolean) {
  const noNode = new NoNode({ dataDir, start: startOf(dataDir, isDefault) })
  const { token, url } = yield* ControlFile.read(dataDir).pipe(
    Effect.mapError((error) => (error.problem === "absent" ? noNode : new Failed({ problem: error.message })))
  )
  const http = yield* NodeHttpClient.makeNodeHttp.pipe(
    Effect.provideServiceEffect(NodeHttpClient.HttpAgent, NodeHttpClient.makeAgent({ keepAlive: true }))
  )
  const nonce = randomBytes(24).toString("base64url")
  const proven = yield* http.get(`${url}/healthz?nonce=${nonce}`).pipe(
    Effect.flatMap((response) => response.json),
    Effect.map((body) => proofIn(body)),
    Effect.timeout(proofPatience),
    // Nobody there, no HTTP, no JSON, too slow: whoever that is, it is not our node.
    Effect.orElseSucceed(() => undefined)
  )
  if (proven === undefined || !equal(token, proven, prove(token, nonce, url))) return yield* noNode
  return yield* HttpApiClient.makeWith(Api, {
    baseUrl: url,
    httpClient: HttpClient.mapRequest(http, HttpClientRequest.bearerToken(token))
  })
})

const proofIn = (body: unknown): string | undefined =>
  typeof body === "object" && body !== null && "proof" in body && typeof body.proof === "string"
    ? body.proof
    : undefined

/** What an answer means that no endpoint foresees: the node has gone, or met a defect. */
export const unforeseen = (error: HttpClientError.HttpClientError): Failed =>
  new Failed({
    problem:
      error.response === undefined
        ? "the node has stopped, or does not answer"
        : `the node answered with status ${error.response.status}; its log says more`
  })

/** The typed client of the node's API, for one token; and what its failures mean to a person. */
import * as Effect from "effect/Effect"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import { Api } from "../../schema/Api.ts"
import { registry } from "./atoms.ts"
import { session } from "./Session.ts"

export type Client = HttpApiClient.ForApi<typeof Api>

/** A client that speaks with this token. */
export const make = (token: string): Effect.Effect<Client> =>
  HttpApiClient.make(Api, {
    baseUrl: location.origin,
    transformClient: HttpClient.mapRequest(HttpClientRequest.bearerToken(token))
  }).pipe(Effect.provide(FetchHttpClient.layer))

/** What a person reads where something did not work. */
export const sentence = (error: unknown): string => {
  if (HttpClientError.isHttpClientError(error)) {
    const status = error.response?.status
    return status === undefined
      ? "The node does not answer. Is it still running?"
      : status === 401
        ? "The node no longer knows this page. Open it again with: kith open"
        : `The node answered with status ${status}; its log says more.`
  }
  if (error instanceof Error && error.message !== "") {
    return error.message.charAt(0).toUpperCase() + error.message.slice(1).replace(/([^.?!])$/, "$1.")
  }
  return "Something did not work; the log of the node says more."
}

export type Answer<A> = { readonly ok: true; readonly value: A } | { readonly ok: false; readonly problem: string }

/**
 * Asks the node something, from an event of the page: an edge, where effects are run. It never rejects: a failure is a
 * sentence.
 */
export const ask = <A, E>(question: (client: Client) => Effect.Effect<A, E>): Promise<Answer<A>> => {
  const current = registry.get(session)
  if (current._tag !== "Open") return Promise.resolve({ ok: false, problem: "The page is not connected to its node." })
  return Effect.runPromise(
    make(current.token).pipe(
      Effect.flatMap(question),
      Effect.match({
        onSuccess: (value): Answer<A> => ({ ok: true, value }),
        onFailure: (error): Answer<A> => ({ ok: false, problem: sentence(error) })
      }),
      Effect.catchDefect((defect) => Effect.succeed<Answer<A>>({ ok: false, problem: sentence(defect) }))
    )
  )
}

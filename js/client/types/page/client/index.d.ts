/** At run time the built-in page finds this client under ./client/; this tells the type checker. */
export * from "../../../src/index.js";

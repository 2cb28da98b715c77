/** What `build_demo` writes into manifest.json, and what page and worker say to each other. */

export interface FileEntry {
  file: string;
  bytes: number;
  sha256: string;
}

export interface Sample {
  file: string;
  name: string;
  label: string;
  probabilities: number[];
}

export interface Card {
  title: string;
  model_name: string;
  accuracy: number;
  accuracy_low: number;
  accuracy_high: number;
  n: number;
  note: string;
  certificate: string;
}

/** What the model runs on: the processor, or the graphics card. */
export type Device = "wasm" | "webgpu";

/** What the user wants it to run on. */
export type Choice = Device | "auto";

export interface RuntimeFiles {
  script: FileEntry;
  wasm: FileEntry;
}

export interface Runtime extends RuntimeFiles {
  version: string;
  /** Fetched only where WebGPU is tried; a page in one file does not carry them. */
  webgpu: RuntimeFiles | null;
}

export interface Manifest {
  card: Card;
  class_names: string[];
  model: FileEntry;
  runtime: Runtime;
  samples: Sample[];
  tolerance: number;
  unknown_threshold: number | null;
  /** Files that say whose pictures the samples are. */
  credits: string[];
  /** The small files that make up the page, for keeping it offline. */
  page: string[];
}

/** A file the worker is to fetch: where it is now, and what it must turn out to be. */
export interface Asset extends FileEntry {
  url: string;
}

export interface Assets {
  device: Device;
  script: string;
  wasm: Asset;
  model: Asset;
}

/** Milliseconds for reading the picture, for dropping its alpha channel, and for the model. */
export interface Times {
  read: number;
  prepare: number;
  model: number;
}

export interface Answer {
  probabilities: number[];
  times: Times;
}

export type ToWorker =
  | { type: "load"; assets: Assets; threads: number }
  | { type: "classify"; id: number; picture: Blob | ImageBitmap };

export type FromWorker =
  | { type: "progress"; part: "runtime" | "model"; loaded: number; total: number; kept: boolean }
  | { type: "starting" }
  | { type: "ready"; threads: number }
  | { type: "failed"; message: string }
  | ({ type: "answer"; id: number } & Answer)
  /** `broken` where it was the engine that failed and not the picture. */
  | { type: "refused"; id: number; message: string; broken: boolean };

/** The part of a service worker's world that sw.js uses; TypeScript cannot load its own beside the page's. */
export interface ServiceWorkerScope {
  registration: { scope: string };
  clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(type: "install" | "activate", listener: (event: FetchEvent) => void): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}

export interface FetchEvent extends Event {
  request: Request;
  respondWith(response: Promise<Response>): void;
  waitUntil(done: Promise<void>): void;
}

"""Where artefacts lie: each under its key, written once and checked on every read, in a folder or an object store."""

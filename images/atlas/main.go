// Command atlas applies migrations as Atlas's command line does, on Atlas's own library.
//
// It takes the part of that command line that DBUpgrade uses, with the same flags, output and exit codes, and keeps the
// same history. The library reads folders, splits, hashes, plans and executes; what is here is the command line, the
// history table, which the library leaves to its users, and sessions. See ../README.md and docs/engines.md.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"ariga.io/atlas/sql/migrate"
)

// Version is that of the release; it stands in the history beside what this program applied.
const Version = "0.1.0"

const usage = `Applies migrations with Atlas's library.

Usage:
  atlas migrate apply [N] [flags]     apply the next N files, or all that are pending
  atlas migrate status [flags]        compare folder and history
  atlas migrate set VERSION [flags]   record everything up to VERSION as applied
  atlas migrate hold [flags]          hold the lock of a run until the input ends (MySQL)
  atlas migrate ask QUERY... [flags]  execute queries that only read, and print the rows as JSON (MySQL)
  atlas migrate hash [flags]          write atlas.sum
  atlas migrate validate [flags]      compare atlas.sum with the files; with a dev database, run them there
  atlas version                       print the version

"atlas migrate COMMAND --help" lists the flags of a command.
`

const checksumAdvice = `The files of the folder and its atlas.sum do not agree.

If the change is meant, run

'atlas migrate hash'

and commit atlas.sum with the files.

`

// streams are where a command reads its settings and writes its output.
type streams struct {
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
}

// errReported ends a command whose error is in the report that was printed.
var errReported = errors.New("the error is in the report")

func main() {
	// A terminal sends its signal to all processes, and whoever started this one passes its own on: more of them say no more.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr, os.Getenv}))
}

// run executes one command and returns the exit code.
func run(ctx context.Context, arguments []string, io streams) int {
	err := dispatch(ctx, arguments, io)
	if err == nil {
		return 0
	}
	if errors.Is(err, errReported) {
		return 1
	}
	if errors.Is(err, migrate.ErrChecksumMismatch) || errors.Is(err, migrate.ErrChecksumNotFound) || errors.Is(err, migrate.ErrChecksumFormat) {
		fmt.Fprint(io.out, checksumAdvice)
	}
	fmt.Fprintf(io.err, "Error: %v\n", interruption(ctx, err))
	return 1
}

func dispatch(ctx context.Context, arguments []string, io streams) error {
	switch {
	case len(arguments) == 0 || isHelp(arguments[0]):
		fmt.Fprint(io.out, usage)
		return nil
	case arguments[0] == "version":
		fmt.Fprintf(io.out, "atlas version %s\n", fullVersion())
		return nil
	case arguments[0] != "migrate":
		return fmt.Errorf("unknown command; see atlas --help")
	case len(arguments) == 1 || isHelp(arguments[1]):
		fmt.Fprint(io.out, usage)
		return nil
	}
	command, known := commands[arguments[1]]
	if !known {
		return fmt.Errorf("unknown command; see atlas --help")
	}
	o, err := parse(arguments[1], arguments[2:], io)
	if err != nil || o == nil {
		return err
	}
	return command(ctx, o, io)
}

func isHelp(word string) bool {
	return word == "--help" || word == "-h" || word == "help"
}

var commands = map[string]func(context.Context, *options, streams) error{
	"apply":    apply,
	"ask":      ask,
	"status":   status,
	"set":      set,
	"hash":     hash,
	"hold":     hold,
	"validate": validate,
}

// fullVersion names this program and the library that it was built with.
func fullVersion() string {
	library := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "ariga.io/atlas" {
				library = module.Version
			}
		}
	}
	return fmt.Sprintf("dbupgrade-%s (ariga.io/atlas %s)", Version, library)
}

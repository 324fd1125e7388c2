package command

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ringd/ringd/client"
	"github.com/ringd/ringd/cmd/ringctl/internal/exit"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

// inputBytesMax bounds a value that is read from a file or stdin: far above what
// members take by default (1 MiB), far below what this process has.
const inputBytesMax = 64 << 20

func (a *app) put() *cobra.Command {
	var (
		key         keyFlags
		write       writeFlags
		replaces    contextFlags
		ifAbsent    bool
		contentType string
		metadata    []string
		file        string
		answer      string
		ttl         time.Duration
	)
	cmd := &cobra.Command{
		Use:   "put BUCKET KEY [VALUE | --file FILE | -]",
		Short: "Write a key",
		Long: `put writes a value: the argument VALUE, the bytes of a file, or, for "-", those of
stdin.

With --context it replaces what was read with that context. Without, it joins
what the key has as a sibling: a write never silently overwrites what its writer
has not seen. --if-absent refuses it if the key has a value.

With --ttl the value expires that long after the put: then nobody sees it, and it
is deleted. Without, it is there as long as its bucket type says, mostly for ever.

If the answer is lost (exit code 4), the value may have been stored or not.

With "-o json" it prints an object: bucket_type, bucket, key, context (of what the
key now has, as far as known), request_id, and siblings as --return asked.`,
		Example: `  ringctl put carts alice '{"milk":1}' --content-type application/json
  ringctl put photos cat.jpg --file cat.jpg --meta by=camera --meta day=3
  date | ringctl put logs last -
  ringctl put sessions 4711 '{"user":"alice"}' --ttl 30m
  ringctl put carts alice '{}' --if-absent
  ringctl put carts bob '{"eggs":6}' --context "$(ringctl get carts bob --context-only)" --if-match
  ringctl put carts alice '{"milk":2}' --w all --return body`,
		Args:              cobra.RangeArgs(2, 3),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, k, err := key.read(args)
			if err != nil {
				return err
			}
			common := write.options(cmd)
			if o, err := replaces.option(); err != nil {
				return err
			} else if o != nil {
				common = append(common, o)
			}
			options := append(asPut(common), client.ContentType(contentType))
			if ifAbsent {
				options = append(options, client.IfAbsent())
			}
			if pairs, err := metadataOf(metadata); err != nil {
				return err
			} else if pairs != nil {
				options = append(options, client.Metadata(pairs))
			}
			if cmd.Flags().Changed("ttl") {
				if ttl <= 0 {
					return exit.Usagef("--ttl %v: it has to be above 0; without it the bucket type decides", ttl)
				}
				options = append(options, client.WithTTL(ttl))
			}
			switch answer {
			case "nothing":
			case "head":
				options = append(options, client.ReturnHead())
			case "body":
				options = append(options, client.ReturnBody())
			default:
				return exit.Usagef("--return %q: use nothing, head or body", answer)
			}
			value, err := a.value(args[2:], file, cmd.Flags().Changed("file"))
			if err != nil {
				return err
			}
			return a.withClient(cmd, func(ctx context.Context, c *client.Client) error {
				w, err := c.BucketType(key.bucketType).Bucket(bucket).Put(ctx, k, value, options...)
				if err != nil {
					return err
				}
				o := object{key.bucketType, bucket, k, client.Object{Siblings: w.Siblings, Context: w.Context}, answer == "head"}
				return a.printWritten("stored", o, w.RequestID, answer != "nothing")
			})
		},
	}
	f := cmd.Flags()
	key.define(a, cmd)
	write.define(cmd)
	replaces.define(cmd)
	f.BoolVar(&ifAbsent, "if-absent", false, "refuse the write if the key has a value")
	f.StringVar(&contentType, "content-type", "", "MIME type to keep with the value")
	f.StringArrayVar(&metadata, "meta", nil, "NAME=VALUE to keep with the value; may be repeated")
	f.DurationVar(&ttl, "ttl", 0, "how long the value is there, such as 90s or 12h (default: as the bucket type says)")
	f.StringVar(&file, "file", "", "take the value from this file")
	f.StringVar(&answer, "return", "nothing", "what the key has after the write: nothing, head (without values) or body")
	cmd.MarkFlagsMutuallyExclusive("if-absent", "if-match")
	must(cmd.RegisterFlagCompletionFunc("return", cobra.FixedCompletions([]string{"nothing", "head", "body"}, cobra.ShellCompDirectiveNoFileComp)))
	return cmd
}

// value is what the arguments behind KEY, or --file, say.
func (a *app) value(rest []string, file string, fromFile bool) ([]byte, error) {
	switch {
	case fromFile && len(rest) > 0:
		return nil, exit.Usagef("VALUE is given twice: as an argument and with --file")
	case fromFile:
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return readValue(f, file)
	case len(rest) == 0:
		return nil, exit.New(exit.Usage, "give it as an argument, with --file, or as - for stdin", "VALUE is missing")
	case rest[0] == "-":
		return readValue(a.In, "stdin")
	}
	return []byte(rest[0]), nil
}

func readValue(r io.Reader, name string) ([]byte, error) {
	value, err := io.ReadAll(io.LimitReader(r, inputBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(value) > inputBytesMax {
		return nil, exit.Usagef("value: %s has more than %d bytes, the limit of ringctl (members take 1 MiB by default)", name, inputBytesMax)
	}
	return value, nil
}

func metadataOf(pairs []string) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return nil, exit.Usagef("--meta %q: give it as NAME=VALUE", p)
		}
		if _, twice := m[name]; twice {
			return nil, exit.Usagef("--meta %s is given twice", name)
		}
		m[name] = value
	}
	return m, nil
}

// printWritten says that a write was acknowledged.
func (a *app) printWritten(verb string, o object, id client.RequestID, withSiblings bool) error {
	if !a.json() {
		fmt.Fprintf(a.Out, "%s %s in %s\n", verb, printing.Name(o.key), printing.Name(o.bucket))
		if withSiblings {
			printSiblings(a.Out, o.found.Siblings)
		}
		return nil
	}
	out := o.appendName([]byte("{"))
	out = append(out, `,"context":"`...)
	out = base64.StdEncoding.AppendEncode(out, o.found.Context)
	out = append(out, `","request_id":"`+id.String()+`"`...)
	if withSiblings {
		out = appendSiblings(append(out, ','), o.found.Siblings, o.head)
	}
	return printing.Raw(a.Out, append(out, '}'))
}

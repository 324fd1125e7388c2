package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	"github.com/spf13/pflag"

	"github.com/ringd/ringd/cluster"
	"github.com/ringd/ringd/internal/member"
)

func defineFlags(flags *pflag.FlagSet) {
	d := member.DefaultConfig()
	flags.String("config", "", "YAML file with settings by the names of the flags")
	flags.String("data-dir", "", "directory of this member's data; made if it is not there")
	flags.String("name", "", "name of this member, unique in the cluster (default: the host's name)")
	flags.String("listen", d.Listen, "address for clients and members (gRPC); port 0 takes a free one")
	flags.String("advertise", "", "address under which others reach --listen (default: the same)")
	flags.String("gossip", "", "address for gossip, TCP and UDP (default: --listen's host, its port plus 1)")
	flags.String("gossip-key", "", "base64 of 16, 24 or 32 bytes that encrypt gossip; the same for all members")
	flags.String("http", "", "address for health, metrics and profiles (default: --listen's host, its port plus 2)")
	flags.String("zone", "", "failure zone of this member, such as a rack or a site")
	flags.Int("weight", d.Weight, "share of the partitions, relative to the other members' weights")
	flags.String("role", string(d.Role), "storage, or gateway: takes requests and keeps nothing")
	flags.Bool("bootstrap", false, "begin a new cluster; does nothing once the data directory has one")
	flags.Int("partitions", d.Partitions, "with --bootstrap: number of partitions, a power of two; fixed for good")
	flags.Int("replicas", d.Replicas, "with --bootstrap: number of members that hold each partition; fixed for good")
	flags.StringSlice("join", nil, "addresses (--listen) of members of the cluster to join; later, hints where they are")
	flags.Bool("auto-commit", false, "take a share of the partitions at once, if the cluster's setting elastic allows it")
	flags.Bool("drain", false, "hand over all partitions and leave the cluster before stopping on SIGTERM, if the setting elastic allows it")
	flags.Duration("drain-timeout", d.DrainWithin, "with --drain: stop after this even if partitions are left")
	flags.Bool("insecure", false, "allow addresses that others can reach although traffic is not encrypted")
	flags.Int("wire-max", d.WireMax, "speak at most this version of the protocol between members, as an earlier release does; to try an upgrade")
	flags.String("log-level", "info", "debug, info, warn or error")
}

// loadConfig puts the file, the environment and the flags together.
func loadConfig(flags *pflag.FlagSet) (member.Config, error) {
	k := koanf.New(".")
	path, _ := flags.GetString("config")
	if path == "" {
		path = os.Getenv("RINGD_CONFIG")
	}
	if path != "" {
		if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return member.Config{}, fmt.Errorf("--config: there is no file %s", path)
			}
			return member.Config{}, fmt.Errorf("--config %s: %w", path, err)
		}
		for _, name := range k.Keys() {
			if flags.Lookup(name) == nil {
				return member.Config{}, fmt.Errorf("--config %s: there is no setting %q; ringd --help names them", path, name)
			}
		}
	}
	err := k.Load(env.Provider(".", env.Opt{
		Prefix: "RINGD_",
		TransformFunc: func(name, value string) (string, any) {
			name = strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, "RINGD_")), "_", "-")
			if name == "join" {
				return name, strings.Split(value, ",")
			}
			return name, value
		},
	}), nil)
	if err != nil {
		return member.Config{}, fmt.Errorf("environment: %w", err)
	}
	for _, name := range k.Keys() {
		if flags.Lookup(name) == nil {
			return member.Config{}, fmt.Errorf("environment: there is no setting RINGD_%s; ringd --help names the flags", strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
		}
	}
	if err := k.Load(posflag.Provider(flags, ".", k), nil); err != nil {
		return member.Config{}, fmt.Errorf("flags: %w", err)
	}
	return configFrom(k)
}

func configFrom(k *koanf.Koanf) (member.Config, error) {
	config := member.DefaultConfig()
	for name, to := range map[string]*string{
		"data-dir": &config.DataDir, "name": &config.Name, "listen": &config.Listen, "advertise": &config.Advertise,
		"gossip": &config.Gossip, "gossip-key": &config.GossipKey, "http": &config.HTTP, "zone": &config.Zone,
	} {
		*to = k.String(name)
	}
	for name, to := range map[string]*int{"weight": &config.Weight, "partitions": &config.Partitions, "replicas": &config.Replicas, "wire-max": &config.WireMax} {
		n, err := wholeNumber(k, name)
		if err != nil {
			return config, err
		}
		*to = n
	}
	for name, to := range map[string]*bool{
		"bootstrap": &config.Bootstrap, "insecure": &config.Insecure, "auto-commit": &config.AutoCommit, "drain": &config.Drain,
	} {
		switch v := fmt.Sprint(k.Get(name)); v {
		case "true", "1":
			*to = true
		case "false", "0", "<nil>":
		default:
			return config, fmt.Errorf("%s is %q: use true or false", name, v)
		}
	}
	config.Role = cluster.Role(k.String("role"))
	var err error
	if config.DrainWithin, err = time.ParseDuration(fmt.Sprint(k.Get("drain-timeout"))); err != nil {
		return config, fmt.Errorf("drain-timeout is %q: use a number with a unit, such as 10m or 90s", k.Get("drain-timeout"))
	}
	config.Join = k.Strings("join")
	if config.Name == "" {
		host, err := os.Hostname()
		if err != nil {
			return config, fmt.Errorf("--name is missing, and the host has none: %w", err)
		}
		config.Name = host
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(k.String("log-level"))); err != nil {
		return config, fmt.Errorf("log-level is %q: use debug, info, warn or error", k.String("log-level"))
	}
	config.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	return config, config.Validate()
}

func wholeNumber(k *koanf.Koanf, name string) (int, error) {
	var n int
	text := fmt.Sprint(k.Get(name))
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil || fmt.Sprint(n) != text {
		return 0, fmt.Errorf("%s is %q: use a whole number", name, text)
	}
	return n, nil
}

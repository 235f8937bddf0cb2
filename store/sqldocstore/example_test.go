package sqldocstore_test

import (
	"context"
	"fmt"

	"github.com/piecework/piecework/store/sqldocstore"
	"gocloud.dev/docstore"
	"gocloud.dev/gcerrors"
)

type player struct {
	ID    string `docstore:"id"`
	Team  string `docstore:"team"`
	Score int    `docstore:"score"`
	Rev   any    `docstore:"rev"`
}

func Example() {
	ctx := context.Background()
	coll, err := sqldocstore.Open(ctx, "sqlite::memory:", &sqldocstore.Options{
		Table:         "players",
		RevisionField: "rev",
		Columns:       []sqldocstore.Column{{Name: "team", Type: sqldocstore.Text}, {Name: "score", Type: sqldocstore.Int}},
		Indexes:       [][]string{{"team", "score"}},
	})
	if err != nil {
		panic(err)
	}
	defer coll.Close()

	ada := &player{ID: "ada", Team: "red", Score: 3}
	err = coll.Actions().Create(ada).Create(&player{ID: "bob", Team: "red", Score: 5}).Do(ctx)
	if err != nil {
		panic(err)
	}
	stale := *ada
	ada.Score = 8
	fmt.Println(coll.Replace(ctx, ada))
	fmt.Println(gcerrors.Code(coll.Replace(ctx, &stale)))

	it := coll.Query().Where("team", "=", "red").Where("score", ">", 4).OrderBy("score", docstore.Descending).Get(ctx)
	defer it.Stop()
	for {
		var p player
		if it.Next(ctx, &p) != nil {
			break
		}
		fmt.Println(p.ID, p.Score)
	}
	// Output:
	// <nil>
	// FailedPrecondition
	// ada 8
	// bob 5
}

// Program asynq runs one job over Redis.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/hibiken/asynq"
)

func main() {
	redis := asynq.RedisClientOpt{Addr: os.Getenv("REDIS_ADDR")}
	server := asynq.NewServer(redis, asynq.Config{Concurrency: 100})
	err := server.Start(asynq.HandlerFunc(func(_ context.Context, t *asynq.Task) error {
		_, err := t.ResultWriter().Write([]byte("hello, " + string(t.Payload())))
		return err
	}))
	if err != nil {
		panic(err)
	}
	client := asynq.NewClient(redis)
	task, err := client.Enqueue(asynq.NewTask("greet", []byte("world"), asynq.Retention(time.Hour)))
	if err != nil {
		panic(err)
	}
	inspector := asynq.NewInspector(redis)
	for task.State != asynq.TaskStateCompleted { // there is no way to be told
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // as its users do
		if task, err = inspector.GetTaskInfo(task.Queue, task.ID); err != nil {
			panic(err)
		}
	}
	fmt.Println(string(task.Result))
	server.Shutdown()
}

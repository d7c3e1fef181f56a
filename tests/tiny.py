"""Every experiment as small as it goes: one table, so that tests share what is compiled for one."""

SELDOM = ("--config.eval.every=6",)  # an evaluation may play whole episodes, or draw many images
_VIT = ("--config.model.depth=1", "--config.model.width=32", "--config.model.heads=4")
_GPT = ("--config.model.depth=1", "--config.model.width=16", "--config.model.heads=2",
        "--config.data.context=16", "--config.data.stride=16", "--config.data.test_fraction=.01",
        "--config.task.prompt=def")  # fmt: skip
_BERT = ("--config.model.depth=1", "--config.model.width=16", "--config.model.heads=2",
         "--config.optimizer.name=adamw", "--config.optimizer.options=()")  # fmt: skip
_ENCODER_DECODER = ("--config.model.encoder_depth=1", "--config.model.decoder_depth=1",
                    "--config.model.width=16", "--config.model.heads=2",
                    "--config.model.hidden=16")  # fmt: skip
_T5 = (*_ENCODER_DECODER, "--config.model.head_dim=8")
_RESTORED = ("--config.data.context=16", "--config.data.test_fraction=.01",
             "--config.task.decoded=4")  # fmt: skip
_SOUND = ("--config.data.most=2", "--config.data.test_examples=4", "--config.task.bands=8",
          "--config.model.width=32", "--config.model.heads=2", "--config.model.hidden=32",
          )  # fmt: skip
_RECURRENT = ("--config.model.hidden=8",)
_TEXT = (*_RECURRENT, "--config.data.context=16", "--config.data.stride=0",
         "--config.data.test_fraction=.01", "--config.task.tokens=8")  # fmt: skip
_SERIES = (*_RECURRENT, "--config.data.length=600", "--config.data.window=32",
           "--config.data.stride=16", "--config.task.skip=8", "--config.batch_size=8")  # fmt: skip
_IMAGES = ("--config.data.image_size=32", "--config.eval.batch_size=16")
_DEEP_CNN = ("--config.model.channels=8,16", "--config.model.hidden=32")
_UNET = ("--config.model.width=8", "--config.model.groups=2", "--config.model.multipliers=(1,)",
         "--config.task.timesteps=20", "--config.task.sampling_steps=4",
         "--config.task.ancestral_steps=3")  # fmt: skip
_CODE = ("--config.model.hidden=(16,)", "--config.model.latent=3")
_GAME = ("--config.model.widths=8,4", "--config.task.latent=8",
         "--config.optimizer.schedule=constant")  # fmt: skip
_STYLES = ("--config.model.widths=(8,4)", "--config.model.width=8",
           "--config.model.mapping_depth=1", "--config.data.image_size=8",
           "--config.task.latent=4", "--config.task.path_every=2",
           "--config.task.r1_every=3", "--config.task.path_length=2", "--config.task.mixing=.2",
           "--config.task.discriminator_rate=1",
           "--config.optimizer.schedule=constant")  # fmt: skip
_STAGES = ("--config.model.depths=(1,1)", "--config.model.widths=(8,16)")
_EFFICIENTNET = ("--config.model.stages=((1,3,1,8,1),(4,3,2,16,1))", "--config.model.last=16")
_RESNET = ("--config.model.stages=(1,1)", "--config.model.width=8")
_SCENES = ("--config.data.examples=16", "--config.data.test_examples=8", "--config.model.width=4")
_REGIONS = (*_SCENES, "--config.data.image_size=32", "--config.model.hidden=8",
            "--config.model.backbone_fields=('stem=small','width=4','stages=(1,1)')",
            "--config.model.strides=(2,)", "--config.model.extra=1",
            "--config.model.sizes=((8.,),(16.,))", "--config.model.region_candidates=(64,32)",
            "--config.model.regions=(24,12)", "--config.model.region_size=3",
            "--config.model.detections=8", "--config.model.candidates=32",
            "--config.task.anchors_learned=16", "--config.task.regions_learned=8")  # fmt: skip
_MASKS = ("--config.model.width=4", "--config.model.depth=1", "--config.data.image_size=32",
          "--config.data.most=3", "--config.data.scales=(1.,2.)", "--config.data.examples=32",
          "--config.data.test_examples=16")  # fmt: skip
_PHOTOGRAPHS = (
    "--config.data.patch=8",
    "--config.data.stride=8",
    "--config.data.eval_on=validation",
    "--config.data.validation_fraction=.05",
)
_EDSR = (*_PHOTOGRAPHS, "--config.model.depth=2", "--config.model.width=16")
_STYLE = ("--config.batch_size=2", "--config.steps=6", "--config.task.height=32",
          "--config.task.width=32", "--config.checkpoint.every=4", "--config.log.every=3",
          "--config.eval.every=3")  # fmt: skip
_STYLED = ("--config.model.width=4", "--config.model.depth=1", "--config.data.image_size=16",
           "--config.data.stride=64", "--config.data.rows=1", "--config.data.columns=1",
           "--config.task.style_size=32")  # fmt: skip
_TRANSLATION = ("--config.model.width=4", "--config.task.discriminator_width=4")
_PPO = ("--config.batch_size=16", "--config.steps=4", "--config.model.hidden=16,16",
        "--config.task.rollout=16", "--config.task.minibatches=2",
        "--config.task.epochs=2")  # fmt: skip
_POLICY = ("--config.batch_size=8", "--config.steps=4", "--config.model.hidden=8,8")
_A2C = (*_POLICY, "--config.task.rollout=4")
_WORLD = ("--config.model.depth=1", "--config.model.width=8", "--config.model.heads=1")
_ANSWERED = ("--config.batch_size=12", "--config.steps=6", "--config.task.answers=2",
             "--config.task.minibatches=2")  # fmt: skip
_TABULAR = ("--config.batch_size=8", "--config.steps=6", "--config.task.transitions=5")
_SWEEP = ("--config.model.hidden=16", "--config.population=2", "--config.optimizer.eps=1e-3",
          "--config.sweep=optimizer.learning_rate=1e-3,1e-2,1e-9")  # fmt: skip

FLAGS = {
    "mlp": ("--config.model.hidden=16",),
    "mlp:regression": ("--config.model.hidden=16",),
    "mlp:cancer": ("--config.model.hidden=16",),
    "lenet": (),
    "a2c": _A2C,
    "a2c:acrobot": _A2C,
    "a2c:a3c": (*_A2C, "--config.task.staleness=2"),
    "alexnet": ("--config.model.channels=(8,8,8,8,8)", "--config.model.hidden=16",
                "--config.data.image_size=64"),
    "vgg": ("--config.model.channels=(8,8,8)", "--config.model.hidden=16"),
    "googlenet": ("--config.model.stem=(4,4,8)", "--config.model.stages=(((4,4,8,2,4,4),),)"),
    "resnet": _RESNET,
    "resnet:50": (*_RESNET, *_IMAGES),
    "efficientnet": _EFFICIENTNET,
    "efficientnet:b0": (*_EFFICIENTNET, *_IMAGES),
    "convnext": (*_STAGES, "--config.data.image_size=0"),
    "mobilevit": (*_STAGES, "--config.model.tokens=(16,)", "--config.model.last_width=16"),
    "cvt": (*_STAGES, "--config.model.heads=(1,2)"),
    "bert:tag": (*_BERT, "--config.data.context=32"),
    "bert:answer": (*_BERT, "--config.data.context=64", "--config.data.question=20",
                    "--config.data.stride=40", "--config.task.longest=8"),
    "coatnet": (*_STAGES, "--config.data.image_size=8", "--config.model.head_dim=8"),
    "transfer": ("--config.model.channels=(8,)",),
    "transfer:pretrain": ("--config.model.channels=(8,)",),
    "bart": (*_ENCODER_DECODER, *_RESTORED),
    "autoencoder": _CODE,
    "autoencoder:linear": (),
    "autoencoder:denoising": _CODE,
    "autoencoder:sparse": _CODE,
    "autoencoder:anomaly": _CODE,
    "bert": (*_BERT, "--config.data.context=16", "--config.data.test_fraction=.01",
             "--config.task.whole_words=true"),
    "bert:classify": (*_BERT, "--config.data.context=18", "--config.data.test_fraction=.1",
                      "--config.data.tokenizer="),
    "cyclegan": (*_TRANSLATION, "--config.model.depth=1", "--config.model.halvings=1",
                 "--config.task.identity=.5", "--config.task.pool=2"),
    "cyclegan:published": (*_TRANSLATION, "--config.model.depth=1", "--config.data.image_size=32"),
    "dcgan": _GAME,
    "dcgan:wide": _GAME,
    "dcgan:conditional": _GAME,
    "ddpm": _UNET,
    "deep_cnn": _DEEP_CNN,
    "deep_cnn:labels": (*_DEEP_CNN, "--config.data.examples=64", "--config.data.test_examples=32"),
    "dqn": ("--config.steps=6", "--config.batch_size=8", "--config.task.rollout=4",
            "--config.task.updates=2", "--config.task.examples=16", "--config.task.capacity=64",
            "--config.model.hidden=8,8"),
    "edsr": _EDSR,
    "edsr:china": _EDSR,
    "edsr:baseline": _EDSR,
    "edsr:large": _EDSR,
    "embedding": (*_DEEP_CNN, "--config.data.class_batches=(4,4)"),
    "embedding:simclr": (*_DEEP_CNN, "--config.task.dimensions=16", "--config.task.probe=()"),
    "embedding:texts": (*_BERT, "--config.data.context=18", "--config.data.test_fraction=.1",
                        "--config.data.tokenizer=", "--config.data.class_batches=(4,4)"),
    "embedding:unseen": ("--config.model.hidden=(16,)", "--config.task.dimensions=16",
                         "--config.data.class_batches=(4,4)"),
    "espcn": (*_PHOTOGRAPHS, "--config.model.widths=(64,16)"),
    "espcn:china": (*_PHOTOGRAPHS, "--config.model.widths=(64,16)"),
    "faster_rcnn": _REGIONS,
    "faster_rcnn:resnet50": (*_REGIONS, "--config.batch_size=4", "--config.model.backbone=resnet"),
    "gat": ("--config.batch_size=2", "--config.steps=6", "--config.model.hidden=(2,)",
            "--config.model.heads=2"),
    "gat:digits": ("--config.batch_size=2", "--config.steps=6", "--config.model.hidden=(2,)",
                   "--config.model.heads=2"),
    "gcn": ("--config.batch_size=8", "--config.steps=6"),
    "gcn:digits": ("--config.batch_size=2", "--config.steps=6"),
    "gcn:anomaly": ("--config.data.nodes=120", "--config.data.edges=300",
                    "--config.data.communities=3", "--config.data.features=4",
                    "--config.data.cliques=2", "--config.data.clique=5",
                    "--config.data.strangers=6", "--config.batch_size=2", "--config.steps=6",
                    "--config.model.hidden=(4,)"),
    "gcn:links": ("--config.batch_size=2", "--config.steps=6"),
    "gin": ("--config.model.hidden=(4,)", "--config.eval.every=6"),
    "gpt": _GPT,
    "gpt:S": _GPT,
    "graphsage": ("--config.batch_size=2", "--config.steps=6", "--config.model.hidden=(4,)"),
    "graphsage:digits": ("--config.batch_size=2", "--config.steps=6",
                         "--config.model.hidden=(4,)"),
    "graphsage:blocks": ("--config.data.nodes=200", "--config.data.edges=1500",
                         "--config.data.seeds=8", "--config.data.fan_out=(3,2)",
                         "--config.data.labels_per_class=20", "--config.batch_size=2",
                         "--config.steps=6", "--config.model.hidden=(4,4)",
                         "--config.task.rounds=1"),
    "graphsage:links": ("--config.data.nodes=200", "--config.data.edges=1500",
                        "--config.data.seeds=8", "--config.data.fan_out=(3,2)",
                        "--config.batch_size=2", "--config.steps=6", "--config.model.hidden=(4,)"),
    "gru:digits": _RECURRENT,
    "keys": ("--config.model.channels=(8,)", "--config.model.hidden=16", "--config.task.bands=8",
             "--config.task.window=.005", "--config.task.hop=.04", "--config.data.test_examples=12",
             "--config.data.examples=96", "--config.batch_size=8"),
    "lstm": _TEXT,
    "lstm:mackey_glass": _SERIES,
    "rnn:mackey_glass": _SERIES,
    "optimizers": _SWEEP,
    "pix2pix": _TRANSLATION,
    "pix2pix:published": (*_TRANSLATION, "--config.model.depth=3", "--config.data.image_size=32"),
    "preferences": _WORLD,
    "preferences:reward": _WORLD,
    "preferences:sft": (*_WORLD, "--config.data.examples=100", "--config.optimizer.warmup=0"),
    "preferences:rule": (*_WORLD, "--config.data.pairs=100", "--config.optimizer.warmup=0"),
    "preferences:rlhf": (*_WORLD, *_ANSWERED),
    "preferences:rlhf_t5": (*_ENCODER_DECODER, *_ANSWERED),
    "ppo": _PPO,
    "ppo:acrobot": _PPO,
    "ppo:pendulum": _PPO,
    "q_learning": _TABULAR,
    "q_learning:frozen_lake_8x8": _TABULAR,
    "q_learning:taxi": _TABULAR,
    "q_learning:cliff_walking": _TABULAR,
    "q_learning:sarsa": _TABULAR,
    "q_learning:expected_sarsa": _TABULAR,
    "reinforce": (*_POLICY, "--config.steps=3"),
    "reinforce:plain": (*_POLICY, "--config.steps=3"),
    "stylegan2": _STYLES,
    "style": _STYLE,
    "style:feed_forward": _STYLED,
    "style:published": _STYLED,
    "t5": (*_T5, *_RESTORED),
    "t5:numbers": (*_T5, "--config.data.test_fraction=.00003", "--config.task.decoded=8",
                   "--config.task.tokens=8"),
    "unet": (*_MASKS, "--config.augment_scene.window=16"),
    "unet:backbone": (*_MASKS, "--config.model.backbone=resnet",
                      "--config.model.backbone_fields=('stages=(1,1)','width=4','stem=small')"),
    "vae": (*_CODE, "--config.task.samples=2"),
    "vae:2": _CODE[:1],
    "vae:16": _CODE[:1],
    "vit": _VIT,
    "vit:B/16": (*_VIT, *_IMAGES),
    "whisper": (*_SOUND, "--config.model.encoder_depth=1", "--config.model.decoder_depth=1"),
    "whisper:ctc": (*_SOUND, "--config.model.depth=1"),
    "wgan": (*_GAME, "--config.batch_size=60"),
    "wgan:gradient_penalty": (*_GAME, "--config.batch_size=60"),
    "wgan:wide": (*_GAME, "--config.batch_size=60"),
    "wgan:clip": (*_GAME, "--config.batch_size=60"),
    "yolo": (*_SCENES, "--config.model.depths=(1,1)"),
    "yolo:yolov3": (*_SCENES, "--config.model.depths=(1,1,1)", "--config.data.image_size=32"),
    "yolo:yolov3_tiny": (*_SCENES, "--config.model.stages=2", "--config.data.image_size=32"),
}  # fmt: skip

_LEARN = ("--config.ema=.9", "--config.eval.every=3", "--config.log.every=2",
          "--config.checkpoint.every=5")  # fmt: skip
_EVENTS = ("--config.eval.every=6", "--config.log.every=3")
_ONE_EVAL = ("--config.eval.every=12", "--config.checkpoint.every=6", "--config.log.every=3")

_REWARDED = ("--config.ema=.9", "--config.checkpoint.every=2", "--config.log.every=3",
             "--config.eval.every=3")  # fmt: skip

# One run a kind of learning: what makes it use most of what it can, and where it is cut in two. The
# fixture `finished` makes it once, and any test may read what it left.
FINISHED = {
    "mlp": ((*_LEARN, "--config.steps_per_call=1"), 5),
    "optimizers": (("--config.eval.every=3", "--config.log.every=2",
                    "--config.checkpoint.every=5"), 5),
    "autoencoder:sparse": ((*_ONE_EVAL, "--config.task.sparsity=.01", "--config.task.noise=.3",
                            "--config.ema=.9", "--config.accumulate=2",
                            "--config.data.anomaly=5"), 6),
    "vae": ((*_ONE_EVAL, "--config.ema=.9"), 6),
    "dcgan": ((*_EVENTS, "--config.ema=.9"), 6),
    "wgan:gradient_penalty": (_EVENTS, 6),
    "ddpm": ((*_EVENTS, "--config.ema=.9"), 6),
    "gpt": ((*_EVENTS, "--config.ema=.9", "--config.accumulate=2",
             "--config.steps_per_call=5"), 6),
    "lstm:mackey_glass": ((*_EVENTS, "--config.ema=.9"), 6),
    "bert": ((*_EVENTS, "--config.ema=.9", "--config.accumulate=2"), 6),
    "t5:numbers": ((*_ONE_EVAL, "--config.ema=.9"), 6),
    "whisper:ctc": ((*_EVENTS, "--config.ema=.9"), 6),
    "gcn": (("--config.ema=.9", "--config.checkpoint.every=4", "--config.eval.every=3",
             "--config.log.every=3"), 4),
    "dqn": (("--config.ema=.9", "--config.checkpoint.every=2", "--config.log.every=3",
             "--config.eval.every=3"), 4),
    "a2c:a3c": (("--config.checkpoint.every=3", "--config.log.every=2", "--config.eval.every=4",
                 "--config.ema=.9"), 3),
    "ppo": (("--config.checkpoint.every=3", "--config.log.every=1", "--config.eval.every=2"), 3),
    "preferences": ((*_EVENTS, "--config.ema=.9"), 6),
    "preferences:rlhf": (_REWARDED, 4),
    "preferences:rlhf_t5": (_REWARDED, 4),
    "q_learning": (("--config.checkpoint.every=2", "--config.log.every=3",
                    "--config.eval.every=3"), 4),
}  # fmt: skip

# Made of programs as users have them, whose bits are promised; others' are compiled in a hurry.
FOR_USERS = ("mlp",)

_TOLD = ("--config.log.report=true", "--config.log.layers=true")


def of_finished(experiment: str) -> tuple[str, ...]:
    """The flags of the run that the fixture `finished` makes; further modes need the same."""
    calls = "--config.steps_per_call=3"  # not as many as the clock says: the last of equals counts
    return (calls, *FLAGS[experiment], *FINISHED[experiment][0], *_TOLD)

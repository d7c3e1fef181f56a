"""Which systems the gallery shows, what of their reports, and where each comes from."""

from typing import NamedTuple


class System(NamedTuple):
    """One entry.

    Attributes:
      experiment: a file of experiments/ without its ending, and ``:variant``.
      name: of the system; its heading, so no two share one.
      does: what the run learns, a sentence.
      figure: the one of summary.json's final figures that says how well.
      unit: what the figure is, in words.
      paper: authors, year and title.
      file: where the system is written, from the root.
      curve: the title of the chart to show; "" for the figure's own.
      shows: headings of the report, of which the first that is there is shown beside the curve.
      flags: further ones of its command; {runs} stands for the folder of all runs.
      first: the experiment that must have run before, or "".
    """

    experiment: str
    name: str
    does: str
    figure: str
    unit: str
    paper: str
    file: str
    curve: str = ""
    shows: tuple[str, ...] = ("Most wrong",)
    flags: tuple[str, ...] = ()
    first: str = ""

    @property
    def chart(self) -> str:
        """The title of the chart to show."""
        return self.curve or self.figure.replace("_", " ")

    @property
    def before(self) -> "System":
        """The run that `first` names; nothing of it is shown but its command."""
        return self._replace(experiment=self.first, first="", flags=())


def _classifier(experiment: str, name: str, paper: str, shows: str = "Confusion matrix") -> System:
    return System(
        experiment,
        name,
        "Tells handwritten digits apart.",
        "accuracy",
        "test accuracy",
        paper,
        f"jaxdl/models/{experiment}.py",
        shows=(shows,),
    )


def _drawer(experiment: str, name: str, paper: str, file: str, does: str) -> System:
    return System(
        experiment,
        name,
        does,
        "two_sample_accuracy",
        "two-sample accuracy (.5 is perfect)",
        paper,
        file,
        shows=("samples over the run", "Generated, and nearest in training"),
    )


def _player(experiment: str, name: str, world: str, paper: str, file: str) -> System:
    return System(
        experiment,
        name,
        world,
        "mean_return",
        "mean return",
        paper,
        file,
        shows=("Episode",),
    )


def _writer(cell: str, name: str, paper: str) -> System:
    return System(
        cell,
        f"{name} that writes",
        "Writes like Python's documentation, byte by byte.",
        "nats_per_byte",
        "nats a byte",
        paper,
        "jaxdl/models/recurrent_lm.py",
        curve="nats per byte",
        shows=("samples over the run", "Most surprising"),
    )


def _reader(cell: str, name: str, paper: str) -> System:
    return System(
        f"{cell}:digits",
        f"{name} that reads",
        "Reads handwritten digits row by row, from both ends.",
        "accuracy",
        "test accuracy",
        paper,
        "jaxdl/models/recurrent_classifier.py",
        shows=("Confusion matrix",),
    )


def _forecaster(cell: str, name: str, paper: str) -> System:
    return System(
        f"{cell}:mackey_glass",
        f"{name} that forecasts",
        "Forecasts a chaotic series six steps ahead.",
        "rmse_linear_ratio",
        "RMSE over the best linear forecast's",
        paper,
        "jaxdl/models/recurrent_forecaster.py",
        curve="rmse linear ratio",
        shows=("Forecast",),
    )


_ELMAN = "Elman, 1990, “Finding Structure in Time”"
_LSTM = "Hochreiter and Schmidhuber, 1997, “Long Short-Term Memory”"
_GRU = "Cho et al., 2014, “Learning Phrase Representations using RNN Encoder–Decoder”"
_WATKINS = "Watkins and Dayan, 1992, “Q-Learning”"

# {family of the page: its systems}.
SYSTEMS: dict[str, tuple[System, ...]] = {
    "Foundations and optimisation": (
        System(
            "mlp",
            "MLP",
            "Tells handwritten digits apart; beside the curve the norms of its gradients, layer by "
            "layer, in which vanishing and exploding would be seen.",
            "accuracy",
            "test accuracy",
            "Rumelhart, Hinton and Williams, 1986, “Learning Representations by Back-propagating "
            "Errors”",
            "jaxdl/models/mlp.py",
            shows=("Gradient flow",),
        ),
        System(
            "embedding",
            "Metric learning",
            "Places digits by eight numbers, like beside like, with contrastive, triplet or "
            "InfoNCE losses.",
            "recall_at_1",
            "recall@1",
            "Khosla et al., 2020, “Supervised Contrastive Learning”",
            "jaxdl/losses/metric_learning.py",
            shows=("Map",),
        ),
        System(
            "optimizers:adam",
            "Optimizers compared",
            "128 networks as one program: 16 learning rates, 8 seeds; a variant an optimizer (sgd, "
            "momentum, rmsprop, adam, adamw).",
            "accuracy",
            "test accuracy of the best",
            "Kingma and Ba, 2015, “Adam: A Method for Stochastic Optimization”",
            "jaxdl/optim/chain.py",
            shows=("Final accuracy by setting",),
        ),
    ),
    "Image classifiers": (
        _classifier("deep_cnn", "DeepCNN", "The two-convolution network of introductory courses"),
        _classifier(
            "lenet",
            "LeNet-5",
            "LeCun et al., 1998, “Gradient-Based Learning Applied to Document Recognition”",
        ),
        _classifier(
            "alexnet",
            "AlexNet",
            "Krizhevsky et al., 2012, “ImageNet Classification with Deep Convolutional Neural "
            "Networks”",
        ),
        _classifier(
            "vgg",
            "VGG",
            "Simonyan and Zisserman, 2014, “Very Deep Convolutional Networks for Large-Scale Image "
            "Recognition”",
        ),
        _classifier(
            "googlenet", "GoogLeNet", "Szegedy et al., 2014, “Going Deeper with Convolutions”"
        ),
        _classifier(
            "resnet", "ResNet", "He et al., 2015, “Deep Residual Learning for Image Recognition”"
        ),
        _classifier(
            "efficientnet",
            "EfficientNet",
            "Tan and Le, 2019, “EfficientNet: Rethinking Model Scaling for Convolutional Neural "
            "Networks”",
        ),
        _classifier(
            "vit",
            "Vision Transformer",
            "Dosovitskiy et al., 2020, “An Image is Worth 16x16 Words”",
            shows="Attention",
        )._replace(
            does="Tells handwritten digits apart; beside the curve which patches of a few its "
            "answers are made of, by attention rollout."
        ),
        _classifier("convnext", "ConvNeXt", "Liu et al., 2022, “A ConvNet for the 2020s”"),
        _classifier("mobilevit", "MobileViT", "Mehta and Rastegari, 2021, “MobileViT”"),
        _classifier(
            "cvt",
            "CvT",
            "Wu et al., 2021, “CvT: Introducing Convolutions to Vision Transformers”",
        ),
        _classifier(
            "coatnet",
            "CoAtNet",
            "Dai et al., 2021, “CoAtNet: Marrying Convolution and Attention for All Data Sizes”",
        ),
        System(
            "transfer",
            "Transfer",
            "What has learned the digits 0 to 4 learns 5 to 9 from five examples of each.",
            "accuracy",
            "test accuracy",
            "Yosinski et al., 2014, “How Transferable are Features in Deep Neural Networks?”",
            "jaxdl/pretrained/transfer.py",
            shows=("Confusion matrix",),
            flags=(
                "--config.pretrained.source={runs}/transfer-pretrain",
                "--config.data.labels_per_class=5",
            ),
            first="transfer:pretrain",
        ),
    ),
    "Other vision": (
        System(
            "yolo",
            "YOLO",
            "Finds the digits of a scene, over clutter and partly behind each other.",
            "map50",
            "mAP50",
            "Redmon and Farhadi, 2018, “YOLOv3: An Incremental Improvement”",
            "jaxdl/models/yolov3.py",
            shows=("Scenes, the most wrong first",),
        ),
        System(
            "faster_rcnn",
            "Faster R-CNN",
            "Finds the same digits, regions first and classes then.",
            "map50",
            "mAP50",
            "Ren et al., 2015, “Faster R-CNN: Towards Real-Time Object Detection with Region "
            "Proposal Networks”",
            "jaxdl/models/faster_rcnn.py",
            shows=("Scenes, the most wrong first",),
        ),
        System(
            "unet",
            "U-Net",
            "Gives a class to every pixel of such a scene.",
            "mean_iou",
            "mean IoU",
            "Ronneberger, Fischer and Brox, 2015, “U-Net: Convolutional Networks for Biomedical "
            "Image Segmentation”",
            "jaxdl/models/unet.py",
        ),
        System(
            "style",
            "Style transfer",
            "Paints one photograph like another: its pixels are what is learned.",
            "style_left",
            "of the style loss left",
            "Gatys, Ecker and Bethge, 2016, “Image Style Transfer Using Convolutional Neural "
            "Networks”",
            "jaxdl/tasks/style_optimisation.py",
            curve="loss",
            shows=("Styled",),
        ),
        System(
            "espcn",
            "ESPCN",
            "Makes a photograph twice as large, learned from one other.",
            "gain",
            "dB over bicubic",
            "Shi et al., 2016, “Real-Time Single Image and Video Super-Resolution Using an "
            "Efficient Sub-Pixel Convolutional Neural Network”",
            "jaxdl/models/espcn.py",
        ),
        System(
            "edsr",
            "EDSR",
            "The same, by a deeper network.",
            "gain",
            "dB over bicubic",
            "Lim et al., 2017, “Enhanced Deep Residual Networks for Single Image Super-Resolution”",
            "jaxdl/models/edsr.py",
        ),
    ),
    "Sequences": (
        _writer("rnn", "RNN", _ELMAN),
        _writer("lstm", "LSTM", _LSTM),
        _writer("gru", "GRU", _GRU),
        _reader("rnn", "RNN", _ELMAN),
        _reader("lstm", "LSTM", _LSTM),
        _reader("gru", "GRU", _GRU),
        _forecaster("rnn", "RNN", _ELMAN),
        _forecaster("lstm", "LSTM", _LSTM),
        _forecaster("gru", "GRU", _GRU),
    ),
    "Transformers": (
        System(
            "gpt",
            "GPT",
            "Writes like Python's documentation, byte by byte.",
            "nats_per_byte",
            "nats a byte",
            "Radford et al., 2019, “Language Models are Unsupervised Multitask Learners”",
            "jaxdl/models/gpt.py",
            curve="nats per byte",
            shows=("samples over the run", "Most surprising"),
        ),
        System(
            "bert",
            "BERT",
            "Guesses what is hidden in Python's documentation.",
            "accuracy",
            "of hidden bytes",
            "Devlin et al., 2018, “BERT: Pre-training of Deep Bidirectional Transformers for "
            "Language Understanding”",
            "jaxdl/models/bert.py",
            shows=("Hidden and said",),
        ),
        System(
            "bert:classify",
            "BERT that sorts texts",
            "Says which part of the library a paragraph documents (extra `tokenizers`).",
            "accuracy",
            "test accuracy",
            "Devlin et al., 2018, as above",
            "jaxdl/tasks/text_classification.py",
        ),
        System(
            "bert:tag",
            "BERT that tags words",
            "Marks in Python code what is called, assigned, imported and raised.",
            "f1",
            "entity F1",
            "Devlin et al., 2018, as above",
            "jaxdl/tasks/token_classification.py",
            shows=("Said and true",),
        ),
        System(
            "bert:answer",
            "BERT that answers",
            "Finds the answer to questions on the standard library's functions.",
            "exact_match",
            "exact match",
            "Devlin et al., 2018, as above",
            "jaxdl/tasks/question_answering.py",
            shows=("Answered worst",),
        ),
        System(
            "t5:numbers",
            "T5",
            "Spells numbers below a million.",
            "exact_match",
            "exact match",
            "Raffel et al., 2020, “Exploring the Limits of Transfer Learning with a Unified "
            "Text-to-Text Transformer”",
            "jaxdl/models/t5.py",
            shows=("Written",),
        ),
        System(
            "bart",
            "BART",
            "Restores Python's documentation, of which a third is missing.",
            "hidden_accuracy",
            "of missing bytes",
            "Lewis et al., 2019, “BART: Denoising Sequence-to-Sequence Pre-training”",
            "jaxdl/models/bart.py",
            shows=("Written",),
        ),
        System(
            "whisper",
            "Whisper",
            "Writes down which keys of a telephone it hears in noise.",
            "exact_match_0db",
            "of recordings all keys right, at 0 dB",
            "Radford et al., 2022, “Robust Speech Recognition via Large-Scale Weak Supervision”",
            "jaxdl/models/whisper.py",
            shows=("Spectrograms",),
        ),
        System(
            "whisper:ctc",
            "CTC",
            "The same, by connectionist temporal classification in place of a decoder.",
            "exact_match_0db",
            "of recordings all keys right, at 0 dB",
            "Graves et al., 2006, “Connectionist Temporal Classification”",
            "jaxdl/models/whisper_ctc.py",
            shows=("Spectrograms",),
        ),
        System(
            "keys",
            "Sounds sorted",
            "Tells a telephone's keys by their sound, as loud as the noise.",
            "accuracy_0db",
            "accuracy at 0 dB",
            "Hershey et al., 2017, “CNN Architectures for Large-Scale Audio Classification”",
            "jaxdl/tasks/sound_classification.py",
            shows=("Most wrong",),
        ),
    ),
    "Autoencoders": (
        System(
            "autoencoder",
            "Autoencoder",
            "Draws digits again from eight numbers.",
            "mse",
            "squared error a pixel",
            "Hinton and Salakhutdinov, 2006, “Reducing the Dimensionality of Data with Neural "
            "Networks”",
            "jaxdl/models/autoencoder.py",
            shows=("Reconstructions",),
        ),
        System(
            "autoencoder:denoising",
            "Denoising autoencoder",
            "Draws digits again that it sees under noise of deviation .3.",
            "mse",
            "squared error a pixel",
            "Vincent et al., 2008, “Extracting and Composing Robust Features with Denoising "
            "Autoencoders”",
            "jaxdl/tasks/reconstruction.py",
            shows=("Reconstructions",),
        ),
        System(
            "autoencoder:sparse",
            "Sparse autoencoder",
            "Draws digits again from many numbers, of which few are not zero.",
            "mse",
            "squared error a pixel",
            "Ng, 2011, “Sparse Autoencoder”",
            "jaxdl/tasks/reconstruction.py",
            shows=("Reconstructions",),
        ),
        System(
            "autoencoder:anomaly",
            "Anomaly detection",
            "Tells a digit that it has never seen by how badly it draws it.",
            "auroc",
            "AUROC",
            "Sakurada and Yairi, 2014, “Anomaly Detection Using Autoencoders with Nonlinear "
            "Dimensionality Reduction”",
            "jaxdl/tasks/reconstruction.py",
            shows=("Most anomalous",),
        ),
        System(
            "vae",
            "VAE",
            "Draws digits from eight normal numbers; between two of them lie others.",
            "elbo",
            "nats, ELBO",
            "Kingma and Welling, 2014, “Auto-Encoding Variational Bayes”",
            "jaxdl/models/vae.py",
            shows=("Between two images",),
        ),
    ),
    "Adversarial networks": (
        _drawer(
            "dcgan",
            "DCGAN",
            "Radford, Metz and Chintala, 2015, “Unsupervised Representation Learning with Deep "
            "Convolutional Generative Adversarial Networks”",
            "jaxdl/models/dcgan.py",
            "Draws digits out of noise.",
        ),
        _drawer(
            "wgan",
            "WGAN-GP",
            "Gulrajani et al., 2017, “Improved Training of Wasserstein GANs”",
            "jaxdl/losses/gan.py",
            "Draws digits with a critic of bounded slope.",
        ),
        _drawer(
            "stylegan2",
            "StyleGAN2",
            "Karras et al., 2020, “Analyzing and Improving the Image Quality of StyleGAN”",
            "jaxdl/models/stylegan2.py",
            "Draws digits at 16x16 pixels, a style a layer.",
        ),
        System(
            "pix2pix",
            "Pix2Pix",
            "Draws digits of their outlines.",
            "psnr",
            "dB PSNR",
            "Isola et al., 2017, “Image-to-Image Translation with Conditional Adversarial "
            "Networks”",
            "jaxdl/models/pix2pix.py",
        ),
        System(
            "cyclegan",
            "CycleGAN",
            "Turns digits upright and back, without being shown one in both ways.",
            "named_rightly",
            "named rightly when turned",
            "Zhu et al., 2017, “Unpaired Image-to-Image Translation using Cycle-Consistent "
            "Adversarial Networks”",
            "jaxdl/models/cyclegan.py",
            shows=("Images made targets",),
        ),
    ),
    "Diffusion": (
        _drawer(
            "ddpm",
            "DDPM",
            "Ho, Jain and Abbeel, 2020, “Denoising Diffusion Probabilistic Models”; Ho and "
            "Salimans, 2022, “Classifier-Free Diffusion Guidance”",
            "jaxdl/models/ddpm.py",
            "Draws the digit that is asked for out of noise, by DDIM in 25 steps, with guidance.",
        ),
    ),
    "Graphs": (
        System(
            "gcn",
            "GCN",
            "Colours the karate club from two known members.",
            "accuracy",
            "accuracy of 20 learners",
            "Kipf and Welling, 2017, “Semi-Supervised Classification with Graph Convolutional "
            "Networks”",
            "jaxdl/models/gcn.py",
            shows=("Graph",),
        ),
        System(
            "gat",
            "GAT",
            "The same, by attention to neighbours.",
            "accuracy",
            "accuracy of 20 learners",
            "Veličković et al., 2018, “Graph Attention Networks”; Brody et al., 2022, “How "
            "Attentive are Graph Attention Networks?”",
            "jaxdl/models/gat.py",
            shows=("Graph",),
        ),
        System(
            "graphsage",
            "GraphSAGE",
            "The same, by sampled neighbours' means.",
            "accuracy",
            "accuracy of 20 learners",
            "Hamilton, Ying and Leskovec, 2017, “Inductive Representation Learning on "
            "Large Graphs”",
            "jaxdl/models/graphsage.py",
            shows=("Graph",),
        ),
        System(
            "gin",
            "GIN",
            "Gives digits, drawn as graphs of their strokes, a class each.",
            "accuracy",
            "test accuracy",
            "Xu et al., 2019, “How Powerful are Graph Neural Networks?”",
            "jaxdl/models/gin.py",
        ),
        System(
            "gcn:links",
            "Link prediction",
            "Finds edges of the karate club that were held out.",
            "auroc",
            "AUROC",
            "Kipf and Welling, 2016, “Variational Graph Auto-Encoders”",
            "jaxdl/tasks/link_prediction.py",
            shows=("Links of the first learner",),
        ),
    ),
    "Reinforcement learning": (
        System(
            "q_learning",
            "Q-learning",
            "256 learners find their way over a frozen lake.",
            "mean_return",
            "mean return of .740",
            _WATKINS,
            "jaxdl/tasks/q_learning.py",
            shows=("Policy: frozen lake 4x4",),
        ),
        System(
            "q_learning:sarsa",
            "SARSA",
            "Walks along a cliff, at the distance that its own slips call for.",
            "mean_return",
            "mean return",
            "Rummery and Niranjan, 1994, “On-Line Q-Learning Using Connectionist Systems”",
            "jaxdl/control/temporal_difference.py",
            shows=("Policy: cliff walking",),
        ),
        _player(
            "dqn",
            "DQN",
            "Balances a pole (500 is all there is).",
            "Mnih et al., 2015, “Human-Level Control Through Deep Reinforcement Learning”",
            "jaxdl/tasks/dqn.py",
        ),
        _player(
            "reinforce",
            "REINFORCE",
            "Balances a pole, a whole episode at a time.",
            "Williams, 1992, “Simple Statistical Gradient-Following Algorithms for Connectionist "
            "Reinforcement Learning”",
            "jaxdl/tasks/policy_gradient.py",
        ),
        _player(
            "a2c",
            "A2C",
            "Balances a pole, five steps of 32 environments at a time; `:a3c` with gradients that "
            "are late.",
            "Mnih et al., 2016, “Asynchronous Methods for Deep Reinforcement Learning”",
            "jaxdl/tasks/policy_gradient.py",
        ),
        _player(
            "ppo",
            "PPO",
            "Balances a pole; `:acrobot`, `:pendulum` swing up.",
            "Schulman et al., 2017, “Proximal Policy Optimization Algorithms”",
            "jaxdl/tasks/ppo.py",
        ),
    ),
    "Preference learning": (
        System(
            "preferences:reward",
            "Reward model",
            "Learns in a small world which answers are liked, from labels of which 10 % are wrong.",
            "accuracy",
            "accuracy",
            "Stiennon et al., 2020, “Learning to Summarize from Human Feedback”",
            "jaxdl/tasks/reward_model.py",
            shows=("Rewards",),
        ),
        System(
            "preferences:rlhf",
            "PPO on rewards",
            "Learns the same world's best policy by PPO.",
            "total_variation",
            "total variation from the best policy",
            "Ouyang et al., 2022, “Training Language Models to Follow Instructions with Human "
            "Feedback”",
            "jaxdl/tasks/rlhf.py",
            shows=("Policy",),
        ),
        System(
            "preferences:dpo",
            "DPO",
            "Learns it without a reward model.",
            "total_variation",
            "total variation from the best policy",
            "Rafailov et al., 2023, “Direct Preference Optimization”",
            "jaxdl/tasks/preference.py",
            shows=("Policy",),
        ),
    ),
}


def every() -> dict[str, System]:
    """{experiment: system} of all families."""
    return {one.experiment: one for family in SYSTEMS.values() for one in family}

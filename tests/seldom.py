"""Tests that take seconds, and whose result only a change of certain files can change.

They are marked slow, with those files: `selection` says what runs when. Every day's run keeps, of
what they test, a case that is cheaper. What begins a test's name stands for all its cases.
"""

_TRAIN, _PARALLEL, _RUNS = "jaxdl/train/", "jaxdl/parallel/", "jaxdl/runs/"
_OPS, _LAYERS, _MODELS = "jaxdl/ops/", "jaxdl/layers/", "jaxdl/models/"
_ALL = ("experiments/", _MODELS, "jaxdl/tasks/")
_LEARNER, _PRETRAINED, _PLAN = "jaxdl/tasks/learner.py", "jaxdl/pretrained/", "jaxdl/plan/"
_DIFFUSION = (
    *("jaxdl/tasks/diffusion.py", "jaxdl/tasks/shared/denoiser.py", "jaxdl/models/ddpm.py"),
    "jaxdl/generate/diffusion.py",
)
_ADVERSARIAL = (
    *("jaxdl/tasks/adversarial.py", "jaxdl/tasks/shared/players.py", "jaxdl/models/dcgan.py"),
    _LAYERS,
)
_AUGMENT = ("jaxdl/data/augment/",)
_PPO = ("jaxdl/tasks/ppo.py", "jaxdl/control/", "jaxdl/models/actor_critic.py")
_GRADIENT = ("jaxdl/tasks/policy_gradient.py", "jaxdl/control/", "jaxdl/models/actor_critic.py")
_WRITTEN = ("jaxdl/generate/", "jaxdl/layers/cache.py", f"{_MODELS}gpt.py", f"{_MODELS}bart.py")
_LANGUAGE = ("jaxdl/tasks/language_modelling.py", "jaxdl/tasks/shared/generation.py")
_PREFERRED = (
    *("jaxdl/tasks/preference.py", "jaxdl/tasks/reward_model.py", "jaxdl/tasks/rlhf.py"),
    *("jaxdl/tasks/shared/answering.py", "jaxdl/tasks/shared/speaking.py", "jaxdl/optim/lora.py"),
    *("jaxdl/data/preferences.py", "jaxdl/data/answer_world.py", "jaxdl/losses/preference.py"),
    "jaxdl/data/topic_answers.py",
    *("jaxdl/tasks/shared/completing.py", "jaxdl/tasks/shared/preferring.py"),
    *("jaxdl/tasks/shared/apart.py", "jaxdl/data/asked.py", "jaxdl/data/packed.py"),
    *("jaxdl/tasks/shared/worlds.py", "jaxdl/pretrained/judges_of_texts.py"),
    "jaxdl/models/encoder_decoder.py",
)
_PAIRED = (
    *("jaxdl/models/encoder_decoder.py", "jaxdl/models/bart.py", "jaxdl/data/packed.py"),
    *("jaxdl/data/packed_pairs.py", "jaxdl/data/pairs.py", "jaxdl/tasks/shared/reading.py"),
    "jaxdl/tasks/sequence_to_sequence.py",
)
_COMMAND = ("jaxdl/launch/", "jaxdl/process.py")
_GOOGLENET = ("jaxdl/models/googlenet.py", _LAYERS, _PRETRAINED)
_INCEPTION = ("jaxdl/models/inception.py", _LAYERS, _PRETRAINED)
_MEMBERS = ("jaxdl/experiment/", "jaxdl/per_member.py", _PARALLEL)
_SEEN = ("jaxdl/anatomy/", _MODELS, _LAYERS, _OPS)

_READERS = ("jaxdl/tasks/", "jaxdl/data/", "jaxdl/models/bert.py", "jaxdl/metrics/")
_TEXTS = (_PRETRAINED, *(f"{_MODELS}{name}.py" for name in ("bert", "t5", "bart")))

_SOUNDS = (
    *("jaxdl/tasks/sound_classification.py", "jaxdl/tasks/shared/hearing.py"),
    *("jaxdl/ops/spectrogram.py", "jaxdl/data/"),
)

_AVERAGED = tuple(f"jaxdl/{name}/" for name in ("tasks", "losses", "metrics", "control"))

# Runs of `tiny.FINISHED` that no test of every day reads.
_REMADE = (
    *("autoencoder:sparse", "wgan:gradient_penalty", "lstm:mackey_glass", "bert", "whisper:ctc"),
    *("preferences", "preferences:rlhf", "preferences:rlhf_t5"),
)

_LARGER = (
    *("jaxdl/tasks/image_to_image.py", "jaxdl/tasks/shared/", "jaxdl/data/smaller.py"),
    *("jaxdl/models/edsr.py", "jaxdl/models/espcn.py", "jaxdl/inference/"),
)

_TRANSLATED = (
    *("jaxdl/tasks/image_translation.py", "jaxdl/tasks/unpaired_translation.py"),
    *("jaxdl/tasks/shared/", "jaxdl/losses/gan.py", "jaxdl/inference/"),
    *(f"jaxdl/models/{name}.py" for name in ("pix2pix", "cyclegan", "patchgan")),
)

_SAMPLED = (
    *("jaxdl/tasks/sampled_node_classification.py", "jaxdl/tasks/shared/layer_wise.py"),
    *("jaxdl/data/neighbours.py", "jaxdl/data/large_graph.py", "jaxdl/models/graphsage.py"),
)

_LINKS = (
    *("jaxdl/tasks/shared/links.py", "jaxdl/data/links.py", "jaxdl/metrics/links.py"),
    *("jaxdl/tasks/link_prediction.py", "jaxdl/tasks/node_classification.py"),
)
_SAMPLED_LINKS = (
    *("jaxdl/tasks/sampled_link_prediction.py", "jaxdl/data/sampled_links.py"),
    *(*_SAMPLED, *_LINKS),
)

_EMBEDDED = (
    *("jaxdl/tasks/embedding.py", "jaxdl/tasks/shared/comparing.py", "jaxdl/losses/"),
    *("jaxdl/tasks/shared/embedded.py", "jaxdl/data/class_batches.py", "jaxdl/inference/rows.py"),
    *("jaxdl/tasks/shared/trunks.py", "jaxdl/tasks/shared/verifying.py"),
)

_STYLEGAN = (
    *("jaxdl/tasks/stylegan2.py", "jaxdl/tasks/shared/", "jaxdl/losses/gan.py"),
    *("jaxdl/optim/lazy.py", "jaxdl/layers/equalised.py", "jaxdl/models/stylegan2.py"),
    "jaxdl/models/stylegan2_discriminator.py",
)

_STYLED = (
    *("jaxdl/tasks/style_transfer.py", "jaxdl/tasks/style_optimisation.py"),
    *("jaxdl/tasks/shared/styling.py", "jaxdl/losses/perceptual.py"),
    *("jaxdl/pretrained/perception.py", "jaxdl/models/transformer_net.py"),
)

_CURVED = (
    *("deep_cnn", "gpt", "dcgan", "coatnet", "cvt", "mobilevit", "unet", "edsr", "espcn"),
    *("pix2pix", "cyclegan", "patchgan", "stylegan2", "transformer_net"),
)

# {file: {beginning of a test's name: the files}}
SELDOM: dict[str, dict[str, tuple[str, ...]]] = {
    "test_adversarial.py": {
        "test_both_networks_are_told_the_label_and_learn_of_it[task0": (*_ADVERSARIAL, _LEARNER),
        "test_both_networks_are_told_the_label_and_learn_of_it[task1": _ADVERSARIAL,
        "test_samples_are_of_the_classes_asked_for": (
            *_ADVERSARIAL, "jaxdl/tasks/shared/by_class.py",
        ),
        "test_run_leaves_its_figures_and_pictures[wgan": (*_ADVERSARIAL, "jaxdl/report/", _TRAIN),
        "test_samples_come_from_the_average": (*_ADVERSARIAL, _LEARNER),
        "test_first_losses_are_those_of_the_first_networks": _ADVERSARIAL,
        "test_discriminator_takes_n_critic_steps_an_update": _ADVERSARIAL,
        "test_gradient_penaltys_own_gradient_is_right_through_the_network": (
            *_ADVERSARIAL, "jaxdl/losses/gan.py",
        ),
        "test_an_examples_logit_depends_on_no_other[spectral": _ADVERSARIAL,
        "test_each_networks_step_moves_that_network_alone": _ADVERSARIAL,
        "test_weights_are_clipped_and_only_the_discriminators": _ADVERSARIAL,
        "test_an_examples_logit_depends_on_no_other[layer": _ADVERSARIAL,
    },
    "test_anatomy.py": {
        "test_the_page_says_what_the_code_says[unet]": (*_SEEN, "docs/models.md"),
    }
    | {
        f"test_fields_are_the_pixels_that_change_a_place[{case}]": _SEEN
        for case in (
            *("resnet50", "convnext_t", "efficientnet_b0", "googlenet", "googlenet_paper"),
            *("coatnet", "vgg16"),
        )
    }
    | {
        "test_fields_are_the_pixels_that_change_a_place[alexnet]": _SEEN,
    }
    | {
        f"test_parameters_and_multiply_adds_are_the_published_ones[{case}]": _SEEN
        for case in ("efficientnet_b0", "googlenet")
    }
    | {
        f"test_attention_and_gates_see_the_whole_image[{case}": _SEEN
        for case in ("mobilevit_xxs", "cvt_13", "efficientnet_b0")
    }
    | {
        f"test_sizes_are_those_of_the_formula[{case}]": _SEEN
        for case in ("resnet50", "convnext_t", "efficientnet_b0", "googlenet", "googlenet_paper")
    }
    | {
        f"test_the_page_says_what_the_code_says[{case}]": (*_SEEN, "docs/models.md")
        for case in (
            *("mobilevit", "efficientnet", "cvt", "coatnet", "convnext", "googlenet", "vit"),
            *("faster_rcnn", "inception", "edsr"),
        )
    }
    | {
        f"test_the_page_says_what_the_code_says_of_texts[{case}]": (*_SEEN, "docs/models.md")
        for case in ("gpt2", "t5", "bart", "whisper")
    },
    "test_archives.py": {
        "test_the_best_checkpoint_is_not_chosen_on_the_test_part": (
            "jaxdl/data/", "jaxdl/train/evaluate.py",
        ),
    },
    "test_augment.py": {
        "test_the_same_key_gives_the_same_and_another_key_another[mixup": (*_AUGMENT,),
        "test_all_of_it_together_stays_in_range_and_repeats_itself": _AUGMENT,
        "test_with_both_each_batch_gets_one_of_the_two": _AUGMENT,
        "test_a_transform_says_what_it_moves_and_moves_nothing_else": _AUGMENT,
        "test_boxes_are_cut_off": _AUGMENT,
    },
    "test_augment_scene.py": {
        "test_a_window_of_what_has_nothing_is_anywhere": (*_AUGMENT,),
        "test_a_thing_alone_is_where_its_box_is[own0]": (*_AUGMENT,),
        "test_all_at_once": _AUGMENT,
        "test_a_thing_alone_is_where_its_box_is[own1]": _AUGMENT,
        "test_mosaic_of_some_leaves_the_others_as_they_are": _AUGMENT,
        "test_each_pixel_of_a_thing_is_as_likely_to_be_windowed": _AUGMENT,
        "test_a_window_is_a_piece_around_a_thing[boxes]": _AUGMENT,
    },
    "test_autoencoders.py": {
        "test_autoencoder_is_its_layers_one_after_the_other[identity-sigmoid": (
            f"{_MODELS}autoencoder.py",
        ),
        "test_run_leaves_its_figures_and_pictures": (
            "jaxdl/tasks/reconstruction.py", "jaxdl/report/", _TRAIN,
        ),
        "test_evaluate_mode_gives_the_figures_and_sample_mode_says": (
            "jaxdl/tasks/reconstruction.py", _TRAIN, *_COMMAND,
        ),
    }
    | {
        f"test_{name}": (*_ALL, _PARALLEL)
        for name in ("bf16_computes", "eight_devices_learn_what", "rates_under_pmap")
    }
    | {
        "test_sparsity_is_of_the_batchs_mean_rates_and_only_learned_by": (
            "jaxdl/tasks/reconstruction.py",
        ),
    }
    | {
        "test_eight_devices_evaluate_as_one_does": (
            "jaxdl/tasks/reconstruction.py", _PARALLEL, "jaxdl/train/evaluate.py",
        ),
        "test_noise_is_added_to_what_is_seen_and_not_to_what_is_wanted": (
            "jaxdl/tasks/reconstruction.py",
        ),
    },
    "test_bad_input.py": {
        "test_settings_that_change_no_number_may_differ_and_others_be_accepted": (
            "jaxdl/config/", "jaxdl/launch/", _RUNS,
        ),
    },
    "test_benchmarks.py": {
        "test_both_sides_act_by_the_same_policy": ("benchmarks/", "jaxdl/control/"),
    }
    | {
        f"test_our_step_runs[{name}]": ("benchmarks/", "jaxdl/experiment/", _MODELS)
        for name in (
            "resnet50", "convnext", "resnet18", "vit_ti", "gpt", "lstm", "deep_cnn", "unet",
        )
    }
    | {
        f"test_{name}": ("benchmarks/",)
        for name in ("a_side_answers", "agreement_writes", "a_side_that_cannot_start")
    }
    | {"test_parameters_are_those_of_the_published_model": ("benchmarks/", _MODELS)},
    "test_bert.py": {
        "test_ends_have_the_parameters_and_shapes": (f"{_MODELS}bert.py", _LAYERS),
        "test_no_segments_are_the_first_and_no_mask_is_none_of_padding": (
            f"{_MODELS}bert.py", _LAYERS,
        ),
        "test_every_token_sees_all_tokens_but_padding": (f"{_MODELS}bert.py", _LAYERS, _OPS),
        "test_positions_may_begin_as_waves_and_weights_wider": (
            "jaxdl/models/bert.py", "jaxdl/layers/",
        ),
    },
    "test_chain_rule.py": {
        "test_the_mlps_gradient_is_the_chain_rule_by_hand[gelu": (_OPS, _LAYERS, _MODELS),
        "test_the_mlps_gradient_is_the_chain_rule_by_hand[silu": (_OPS, _LAYERS, _MODELS),
        "test_the_mlps_gradient_is_the_chain_rule_by_hand[sigmoid": (_OPS, _LAYERS, _MODELS),
    },
    "test_preferences.py": dict.fromkeys(
        (
            *("test_eight_devices_learn_what_one_does", "test_prices_are_one_program"),
            "test_fine_tuned_judged_and_learned_from_rewards",
            "test_the_best_policy_is_found",
        ),
        _PREFERRED,
    ),
    "test_apart.py": {
        "test_runs_prefer_judge_and_are_put_to_use": _PREFERRED,
        "test_log_probabilities_and_rewards_are_of_each_answer_given_its_prompt[bart]": (
            *_PREFERRED, f"{_MODELS}bart.py",
        ),
        "test_what_is_drawn_is_as_likely_as_what_is_given": (
            *_PREFERRED, "jaxdl/generate/", f"{_MODELS}bart.py", f"{_MODELS}t5.py",
        ),
    },
    "test_packed.py": {"test_a_run_of_rows_is_measured_as_one_of_texts": _PREFERRED},
    "test_packed_pairs.py": {
        "test_loss_and_gradient_are_those_of_pairs_one_to_a_row[bart": (*_PAIRED, _LAYERS),
        "test_a_run_learns_from_rows_and_is_measured_on_pairs": _PAIRED,
    },
    "test_checkpoint.py": {
        "test_a_damaged_newest_checkpoint_leaves_the_result_as_it_was": (_RUNS,),
        "test_any_damaged_file_of_the_newest_step_is_noticed_or_does_no_harm[flipped]": (_RUNS,),
        "test_failed_write_ends_the_run": (_RUNS, _TRAIN),
        "test_any_damaged_file_of_the_newest_step_is_noticed_or_does_no_harm[truncated]": (_RUNS,),
        "test_any_damaged_file_of_the_newest_step_is_noticed_or_does_no_harm[deleted]": (_RUNS,),
        "test_signal_saves_and_the_same_command_goes_on[15": (_RUNS, _TRAIN, *_COMMAND),
    },
    "test_classifiers.py": {
        "test_logits_and_maps_are_those_of_the_original[vit_transformers]": (
            _OPS, _LAYERS, _MODELS, _PRETRAINED,
        ),
    }
    | {
        f"{test}[{case}]": (_OPS, _LAYERS, _MODELS, _PRETRAINED)
        for test in (
            "test_a_training_step_is_that_of_the_original",
            "test_logits_and_maps_are_those_of_the_original",
        )
        for case in ("resnet_bottleneck", "convnext_timm", "vgg_bn")
    }
    | {
        "test_a_training_step_is_that_of_the_original[vit_transformers]": (
            _OPS, _LAYERS, _MODELS, _PRETRAINED,
        ),
    }
    | {
        "test_a_training_step_is_that_of_the_original[alexnet]": (_PRETRAINED, _MODELS, _LAYERS),
        "test_what_is_saved_is_the_original_file[convnext_timm]": (_PRETRAINED, _MODELS, _LAYERS),
        "test_what_is_saved_is_the_original_file[resnet_bottleneck]": (
            _PRETRAINED, _MODELS, _LAYERS,
        ),
    },
    "test_coatnet.py": {
        "test_weights_of_one_image_size_are_read_for_another": (
            "jaxdl/models/coatnet.py", _PRETRAINED,
        ),
        "test_parameter_count_is_the_published_one[coatnet_": ("coatnet", _LAYERS),
        "test_features_and_logits_are_wide": ("coatnet", _LAYERS),
    },
    "test_compiles.py": {
        "test_initial_states_compile[vit": (
            *("jaxdl/models/vit.py", "jaxdl/keys.py", "jaxdl/threefry.py"), _LAYERS,
        ),
    },
    "test_convnext.py": {
        f"test_{name}": ("convnext", _LAYERS, _PRETRAINED)
        for name in (
            *("without_classes_there_are_the_features", "pyramid_has_each_stages_last_map"),
            *("initial_weights_are", "parameter_count_is_the_published_one[convnext_s"),
            *("parameter_count_is_the_published_one[convnext_t", "settings_of_transformers"),
        )
    }
    | {
        "test_stochastic_depth_rises_over_all_blocks_and_drops_whole_branches": (
            "jaxdl/models/convnext.py", _LAYERS,
        ),
    },
    "test_boxes.py": dict.fromkeys(
        (
            *("test_roi_align_has_derivatives_of_both_modes", "test_of_a_few_the_best_are_kept"),
            *("test_roi_align_reads_each_box", "test_roi_align_of_a_group_of_boxes"),
            "test_overlaps_and_their_gradients_are_torchvisions[iou-",
            "test_empty_boxes_have_a_number_and_a_gradient[iou",
            "test_coding_is_torchvisions_and_goes_back[ones",
            *(f"test_suppression_keeps_what_torchvisions_does[{x}]"
              for x in ("True-0.7", "True-0.3", "False-0.3", "False-0.5")),
            "test_roi_align_and_its_gradient_are_torchvisions[1-False]",
            "test_roi_align_and_its_gradient_are_torchvisions[3-False]",
            *("test_images_are_suppressed_side_by_side", "test_what_is_picked_has_a_gradient"),
        ),
        (_OPS,),
    ),
    "test_ctc.py": {
        "test_what_cannot_be_said_is_infinite": ("jaxdl/losses/alignment.py",),
        "test_what_stands_behind_the_labels_and_the_frames": ("jaxdl/losses/alignment.py",),
        "test_a_few_beams_find": ("jaxdl/generate/ctc.py",),
        "test_bf16_logits_lose_no_more": ("jaxdl/losses/alignment.py",),
        "test_losses_and_gradients_are_torchs[float64-1e-08]": ("jaxdl/losses/alignment.py",),
        "test_losses_and_gradients_are_torchs[float32": ("jaxdl/losses/alignment.py",),
        "test_labellings_grow_no_longer": ("jaxdl/generate/ctc.py",),
        "test_with_room_for_all_the_search_finds_each_labelling_with_all_its_paths": (
            "jaxdl/generate/ctc.py",
        ),
    },
    "test_cvt.py": {
        "test_parameter_count_is_the_published_one[cvt]": ("cvt", _LAYERS),
        "test_the_authors_names_are_read": ("jaxdl/models/cvt.py", _PRETRAINED),
        "test_settings_are_read_as_they_are_written": ("jaxdl/models/cvt.py", _PRETRAINED),
        "test_only_the_last_stage": ("jaxdl/models/cvt.py", "jaxdl/report/"),
    },
    "test_denoising.py": {
        "test_masks_stand_where_the_text_is_not": ("jaxdl/data/",),
    },
    "test_detection.py": {
        "test_a_yolos_own_classes_keep_its_heads": (
            _PRETRAINED, "jaxdl/tasks/", f"{_MODELS}yolov3.py",
        ),
        "test_a_yolo_begins_with_darknets_weights_and_heads_of_its_own": (
            _PRETRAINED, "jaxdl/tasks/", f"{_MODELS}yolov3.py",
        ),
    },
    "test_diagnose.py": {
        "test_a_training_step_of_a_network_with_max_pools_is_all_finite": (
            "jaxdl/train/diagnose.py", "jaxdl/ops/pooling.py",
        ),
    },
    "test_diffusion.py": {
        "test_unet_has_its_parameters_and_shape[ddpm_cifar10": (*_DIFFUSION, _LAYERS),
        "test_evaluate_mode_gives_the_best_figures": _DIFFUSION,
        "test_with_the_best_answer_samples_come_to_have_the_datas_distribution[1.0]": _DIFFUSION,
        "test_first_loss_is_that": _DIFFUSION,
        "test_dropped_labels_are_learned": _DIFFUSION,
        "test_samples_come_from_the_average": _DIFFUSION,
        "test_sample_mode_makes_the_same_picture_again": (*_DIFFUSION, "jaxdl/launch/"),
        "test_unet_is_the_published_one_layer_by_layer": _DIFFUSION,
        "test_with_the_best_answer_samples_come_to_have_the_datas_distribution[0": _DIFFUSION,
    },
    "test_deep_q.py": {
        "test_all_forms_together_go_on_to_the_bit": ("dqn", "jaxdl/control/", _RUNS),
        "test_weights_take_back_how_often_it_was_drawn": ("jaxdl/control/",),
        "test_what_was_misjudged_is_drawn_more_often[1]": ("jaxdl/control/",),
    },
    "test_dqn.py": {
        "test_the_goal_is_the_published_one[True]": ("jaxdl/tasks/dqn.py", "jaxdl/control/"),
        "test_one_device_equals_eight": ("dqn", _PARALLEL, "jaxdl/control/"),
    },
    "test_drawing.py": {
        "test_what_draws_otherwise_stays_as_it_is": ("jaxdl/experiment/", "jaxdl/threefry.py"),
        "test_draws_that_are_looked_at_on_the_way": ("jaxdl/experiment/", "jaxdl/threefry.py"),
        "test_a_run_begins_the_same[arguments2": ("jaxdl/experiment/", "jaxdl/threefry.py"),
        "test_double_precision": ("jaxdl/experiment/", "jaxdl/threefry.py"),
    },
    "test_embeddings.py": {
        "test_what_is_hidden_is_said_by_the_published_head": ("jaxdl/inference/", *_TEXTS),
        "test_a_vector_is_the_mean_of_its_tokens_alone": ("jaxdl/inference/embeddings.py", *_TEXTS),
    },
    "test_encoder_decoder.py": {
        "test_a_text_among_others_gets_what_it_gets_alone": (*_TEXTS, _LAYERS),
        "test_steps_with_the_cache_give_what_the_whole_pass_gives[t5]": (*_TEXTS, _LAYERS),
        "test_steps_with_the_cache_give_what_the_whole_pass_gives[bart]": _TEXTS,
    },
    "test_encoders.py": {
        "test_another_tokenizer_is_refused": (_PRETRAINED, "jaxdl/tasks/shared/", "jaxdl/data/"),
        "test_what_does_not_fit_is_one_line": (_PRETRAINED, "jaxdl/tasks/shared/"),
        "test_a_run_gets_a_new_head": (_PRETRAINED, "jaxdl/tasks/shared/"),
        "test_a_source_that_is_gone_is_missed_by_who_begins_alone": (
            _PRETRAINED, "jaxdl/tasks/shared/",
        ),
        "test_masked_modelling_goes_on_with_the_head_that_is_there": (
            _PRETRAINED, "jaxdl/tasks/shared/",
        ),
        "test_a_published_folder_gets_a_new_head": (_PRETRAINED, *_READERS),
    },
    "test_envs.py": {
        "test_an_environment_does_the_same_among_others": ("jaxdl/envs/",),
        "test_a_rollout_is_single_steps_with_new_starts_at_ends[pendulum": (
            "jaxdl/envs/", "jaxdl/control/",
        ),
    },
    "test_export.py": {
        "test_without_flatbuffers_the_extra_is_named": ("jaxdl/inference/",),
        "test_its_example_says_what_predict_says": ("jaxdl/inference/",),
        "test_it_says_what_goes_in_and_comes_out": ("jaxdl/inference/", "jaxdl/tasks/"),
        "test_images_of_another_size_are_scaled_by_the_program": ("jaxdl/inference/export.py",),
        "test_the_forms_of_all_platforms_are_in_it[convolutions": (_OPS,),
        "test_a_run_goes_on_without_jaxdl": ("jaxdl/inference/export.py",),
        "test_bf16_is_exported_as_it_is": ("jaxdl/inference/export.py", "jaxdl/precision.py"),
        "test_the_forms_of_all_platforms_are_in_it[attention": (_OPS,),
        "test_where_jax_has_another_platform": (_OPS, "jaxdl/inference/"),
    },
    "test_extending.py": {
        "test_it_is_swept_and_split": (*_MEMBERS, "docs/extending.md"),
    },
    "test_exported_sounds.py": {
        "test_a_run_goes_out_and_its_example": (
            *("jaxdl/inference/", "jaxdl/tasks/ctc.py", "jaxdl/tasks/transcription.py"),
            *("jaxdl/tasks/sound_classification.py", "jaxdl/generate/", *_COMMAND),
        ),
    },
    "test_faster_rcnn.py": {
        "test_boxes_answer_as_in_a_loop_over_them": (f"{_MODELS}faster_rcnn.py", _OPS),
        "test_a_sample_is_balanced_as_far_as_there_are_boxes[40": (
            f"{_MODELS}faster_rcnn.py", "jaxdl/losses/",
        ),
    },
    "test_fine_tuned_whisper.py": {
        "test_it_learns_by_the_launcher": (
            *("jaxdl/tasks/transcription.py", "jaxdl/tasks/shared/", "jaxdl/data/recordings.py"),
            *(_PRETRAINED, "jaxdl/generate/", "jaxdl/inference/", "experiments/whisper.py"),
        ),
        "test_a_run_on_tones_begins_where_another": (
            "jaxdl/tasks/transcription.py", "jaxdl/tasks/shared/", _PRETRAINED,
        ),
        "test_a_run_that_has_begun_needs_no_folder_and_goes_out": (
            "jaxdl/tasks/transcription.py", "jaxdl/tasks/shared/", _PRETRAINED, "jaxdl/generate/",
        ),
        "test_the_loss_of_a_text_is_that_of_transformers": (
            "jaxdl/tasks/sequence_to_sequence.py", "jaxdl/models/whisper.py",
        ),
    },
    "test_fine_tuned_writers.py": dict.fromkeys(
        (
            *("test_a_published_t5_learns_answers_and_goes_out", "test_an_encoder_writes_no_texts"),
            "test_texts_are_written_as_the_folder_says",
            "test_a_folder_brings_its_weights_its_tokens_and_its_way_to_write",
            *("test_a_run_that_has_begun_needs_no_folder[True",
              "test_a_run_that_has_begun_needs_no_folder[False-bart"),
            "test_a_run_that_has_begun_needs_no_folder[False-t5",
            "test_settings_of_the_task_stand_in_place_of_the_folders",
        ),
        (_PRETRAINED, "jaxdl/generate/", "jaxdl/tasks/", "jaxdl/inference/", *_COMMAND),
    ),
    # Of each kind of step another one stays: of one network (mlp), of two (dcgan), of a
    # population (optimizers), of a graph, and of agents with and without a replay buffer.
    "test_finished.py": {
        f"{test}[{name}]": (_RUNS, _LEARNER, *files)
        for name, files in {
            "autoencoder:sparse": ("jaxdl/tasks/reconstruction.py", "jaxdl/models/autoencoder.py"),
            "vae": ("jaxdl/tasks/variational.py", "jaxdl/models/vae.py"),
            "wgan:gradient_penalty": _ADVERSARIAL,
            "ddpm": _DIFFUSION,
            "ppo": _PPO,
            "a2c:a3c": _GRADIENT,
            "preferences": _PREFERRED,
            "preferences:rlhf": _PREFERRED,
            "preferences:rlhf_t5": (*_PREFERRED, f"{_MODELS}t5.py"),
            "gpt": (*_LANGUAGE, f"{_MODELS}gpt.py"),
            "lstm:mackey_glass": ("jaxdl/tasks/forecasting.py", "jaxdl/ops/recurrent.py"),
            "bert": ("jaxdl/tasks/masked_language_modelling.py", "jaxdl/models/bert.py"),
            "t5:numbers": ("jaxdl/tasks/sequence_to_sequence.py", "jaxdl/models/t5.py"),
            "q_learning": ("jaxdl/tasks/q_learning.py", "jaxdl/control/tabular.py"),
            "whisper:ctc": ("jaxdl/tasks/ctc.py", "jaxdl/models/whisper_ctc.py"),
        }.items()
        for test in (
            "test_a_run_that_was_cut_ends_like_one_that_was_not",
            *(("test_a_run_leaves_everything_it_promises",) if name in _REMADE else ()),
        )
    },
    "test_forecasting.py": {
        "test_report_shows_the_forecast_its_continuation": (
            "jaxdl/report/", "jaxdl/tasks/forecasting.py",
        ),
        "test_a_run_leaves_its_figures": ("jaxdl/tasks/forecasting.py", "jaxdl/report/", _TRAIN),
        "test_no_forecast_has_a_gradient_from_a_later_step[gru": (_OPS, _LAYERS, _MODELS),
        "test_no_forecast_has_a_gradient_from_a_later_step[lstm": (_OPS, _LAYERS, _MODELS),
        "test_eight_devices_learn_and_forecast": (_PARALLEL, "jaxdl/tasks/forecasting.py"),
        "test_bf16_computes_in_bf16": _ALL,
    },
    "test_generate.py": {
        "test_a_model_without_a_cache_says_the_same[1.0]": _WRITTEN,
        "test_gpt_with_its_cache_takes_what_it_finds_likeliest_without[float32": _WRITTEN,
        "test_a_model_without_a_cache_says_the_same[0.0]": _WRITTEN,
        "test_gpt_with_its_cache_takes_what_it_finds_likeliest_without[bfloat16": (
            *("jaxdl/generate/", _LAYERS, "jaxdl/models/gpt.py"),
        ),
    },
    "test_generation.py": {
        "test_other_values_and_other_texts_need_no_other_program": ("jaxdl/generate/",),
        "test_texts_and_scores_are_those_of_transformers[bart-beams_4_summary]": _WRITTEN,
        "test_texts_and_scores_are_those_of_transformers[gpt2-beams_5_all]": _WRITTEN,
    },
    "test_googlenet.py": {
        "test_parameter_count_is_the_published_one_for_any_image[True-googlenet]": _GOOGLENET,
        "test_transformed_images_are": _GOOGLENET,
        "test_parameter_count_is_the_published_one_for_any_image[False": _GOOGLENET,
        "test_parameter_count_is_the_published_one_for_any_image[True-googlenet_": _GOOGLENET,
        "test_maps_and_features": _GOOGLENET,
        "test_auxiliary_heads_speak_in_training": _GOOGLENET,
    },
    "test_inception.py": {
        "test_maps_are_of_each_stride": (*_INCEPTION,),
        "test_parameter_count_is_the_published_one": _INCEPTION,
        "test_weights_of_the_published_names_give": _INCEPTION,
    },
    "test_gpt.py": {
        "test_weights_start_as_published": (f"{_MODELS}gpt.py", _LAYERS),
        "test_logits_past_the_caches_length": (*_WRITTEN, _LAYERS),
        "test_cached_logits_are_the_uncached_ones[sizes1]": (*_WRITTEN,),
        "test_texts_of_unequal_length_get_what_each_gets_alone": (*_WRITTEN, _LAYERS),
        "test_parameter_count_is_the_published_one[gpt2_m": (f"{_MODELS}gpt.py", _LAYERS),
        "test_rematerialisation_gives_the_same_gradient": ("jaxdl/models/gpt.py", _LAYERS, _OPS),
        "test_cached_logits_are_the_uncached_ones[sizes0]": _WRITTEN,
    },
    "test_gradient_noise.py": {
        "test_the_noise_is_gaussian_of_the_deviation_asked_for[2": (_LEARNER,),
    }
    | {
        f"test_eight_devices_add_the_noise_that_one_does[{how}": (_PARALLEL, _LEARNER)
        for how in ("fsdp", "pmap")
    }
    | {
        "test_both_adversaries_gradients_are_noisy": (*_ADVERSARIAL, _LEARNER),
    },
    "test_embedding.py": {
        "test_devices_and_time_change_no_number": (*_EMBEDDED, _PARALLEL),
        "test_members_of_a_population": (*_EMBEDDED, "jaxdl/experiment/"),
        "test_a_run_reports_and_writes_its_vectors": (*_EMBEDDED, "jaxdl/report/"),
        "test_texts_become_vectors": (*_EMBEDDED, "jaxdl/report/", "jaxdl/inference/", *_READERS),
        "test_a_projection_is_for_training_alone": _EMBEDDED,
        **{
            f"test_parts_of_a_batch_on_several_devices_are_compared_as_one[{name}": _EMBEDDED
            for name in ("contrastive", "triplet", "arcface", "info_nce")
        },
    },
    "test_metric_learning.py": {
        "test_what_has_collapsed_or_has_no_pair_gives_finite_numbers[info_nce": _EMBEDDED,
        "test_what_has_collapsed_or_has_no_pair_gives_finite_numbers[nt_xent": _EMBEDDED,
        "test_what_has_collapsed_or_has_no_pair_gives_finite_numbers[triplet": _EMBEDDED,
        "test_values_and_gradients_are_those_of_a_loop[nt_xent": _EMBEDDED,
    },
    "test_policies.py": {
        "test_a_config_asks_for_them": _AUGMENT,
        "test_mixtures_lie_between": _AUGMENT,
        "test_operations_are_drawn_evenly": _AUGMENT,
        "test_a_row_of_operations": _AUGMENT,
    },
    "test_sampled_nodes.py": {
        "test_devices_and_time_change_no_number": (*_SAMPLED, _PARALLEL),
        "test_members_of_a_population": (*_SAMPLED, "jaxdl/experiment/"),
        "test_a_run_learns_and_reports": (*_SAMPLED, "jaxdl/report/"),
        # Of three ways to hear one stays.
        "test_with_all_neighbours_and_layer_by_layer_it_is_the_network_on_the_whole_graph[mean": (
            _SAMPLED
        ),
        "test_with_all_neighbours_and_layer_by_layer_it_is_the_network_on_the_whole_graph[sum": (
            _SAMPLED
        ),
    },
    "test_benchmarks_graphs.py": {
        "test_our_side_learns_and_writes_what_the_other_reads[gat": (
            "benchmarks/", f"{_MODELS}gat.py", _LAYERS,
        ),
    },
    "test_links.py": {
        "test_links_of_karate_are_found": _LINKS,
        "test_links_of_blocks_are_found": _SAMPLED_LINKS,
        "test_drawn_links_are_cut_and_go_on": _SAMPLED_LINKS,
        "test_own_edges_without_labels": ("jaxdl/data/edge_list.py", *_SAMPLED_LINKS),
        "test_learners_hear_by_known_edges": _LINKS,
        "test_the_loss_of_a_learner": _LINKS,
    },
    "test_node_anomaly.py": {
        "test_odd_nodes_are_found": ("jaxdl/tasks/node_anomaly.py", "jaxdl/data/planted.py"),
        "test_it_is_cut_and_goes_on": ("jaxdl/tasks/node_anomaly.py",),
    },
    "test_graph_families.py": {
        "test_devices_and_time_change_no_number[gat": ("gat", _PARALLEL),
        "test_devices_and_time_change_no_number[graphsage": ("graphsage", _PARALLEL),
        "test_nodes_are_named": (f"{_MODELS}gin.py", _LAYERS),
    },
    "test_graph_parts.py": {
        "test_devices_and_time_change_no_number": (
            *("jaxdl/ops/graph_parts.py", "jaxdl/tasks/shared/graph_on_devices.py"),
            *("jaxdl/tasks/node_classification.py", _PARALLEL),
        ),
        **{
            f"test_values_and_gradients_are_those_of_the_whole_graph[{name}": (_OPS, _LAYERS)
            for name in ("gat", "graphsage", "gin")
        },
    },
    "test_edge_list.py": {
        "test_a_graph_of_ones_own_in_one_piece": (
            *("jaxdl/data/edge_list.py", "jaxdl/data/large_graph.py"),
            "jaxdl/tasks/node_classification.py",
        ),
    },
    "test_graph_layers.py": {
        **{
            f"test_values_and_gradients_are_those_of_pytorch_geometric[{case}": (_OPS, _LAYERS)
            for case in ("all", "without_edges")
        },
    },
    "test_graphs.py": {
        "test_planetoid_files_are_read[True]": (
            "jaxdl/data/planetoid.py", "jaxdl/tasks/node_classification.py",
        ),
        "test_learners_know_nothing_of_each_other": ("jaxdl/tasks/node_classification.py",),
        "test_one_device_equals_eight": ("gcn", _PARALLEL),
        "test_sums_over_edges_are_the_normalised": (_OPS, _LAYERS, "jaxdl/models/gcn.py"),
        "test_planetoid_files_are_read[False": ("jaxdl/data/planetoid.py", "jaxdl/data/graph.py"),
        "test_report_draws_the_graph_and_evaluation_repeats_the_figures[:digits": (
            *("gcn", "jaxdl/data/digits_graph.py", "jaxdl/report/"),
        ),
    },
    "test_hosts.py": {
        "test_workdir_that_the_hosts_do_not_share": (_RUNS, _PARALLEL),
        "test_two_processes_are_one_run": (_RUNS, _PARALLEL, _TRAIN, *_COMMAND),
    },
    "test_keys.py": {
        "test_what_draws_below_a_key": ("jaxdl/threefry.py", "jaxdl/keys.py"),
    },
    "test_language_modelling.py": {
        "test_nats_a_byte_compare_across_tokenizers": (*_LANGUAGE,),
        "test_samples_and_figures_come_from_the_average": (*_LANGUAGE, _LEARNER),
        "test_evaluate_and_sample_modes": _LANGUAGE,
        "test_text_of_ones_own_is_learned_by_any_model_of_tokens": _LANGUAGE,
        "test_eight_devices_learn_what_one_does": (_PARALLEL,),
        "test_eight_devices_evaluate_and_sample": (_PARALLEL, "jaxdl/generate/"),
        "test_bf16_computes_in_bf16": _ALL,
    },
    "test_language_models.py": {
        "test_logits_states_and_gradients_are_those_of_transformers[t5_untied]": _TEXTS,
        "test_logits_states_and_gradients_are_those_of_transformers[bart]": _TEXTS,
        "test_greedy_continuations_are_those_of_transformers[t5_untied]": (
            *_TEXTS, "jaxdl/generate/",
        ),
    },
    "test_launch.py": {
        "test_a_finished_run_started_again_trains_no_further": (_TRAIN, _RUNS),
        "test_plain_workdir_is_dated_and_named": _COMMAND,
        "test_updates_a_call_are_chosen_and_kept_with_the_run": (_TRAIN,),
        "test_early_stopping_ends_the_run_when_the_metric_is_good_enough": (_TRAIN,),
        "test_seed_changes_the_run_and_nothing_else_does": ("jaxdl/keys.py", "jaxdl/experiment/"),
        "test_updates_a_call_change_no_bit": (_TRAIN,),
        "test_where_calls_are_cut_leaves_no_trace": (_TRAIN,),
        "test_microbatches_give_the_update": (_LEARNER,),
        "test_the_second_start_compiles_nothing[mlp]": (_TRAIN, "jaxdl/process.py"),
        "test_larger_calls_are_taken_up": (_TRAIN,),
        "test_early_stopping_ends_the_run_when_the_metric_stalls[gcn": ("gcn", _TRAIN),
    },
    "test_layers.py": {
        "test_every_dropout_of_every_block_draws_its_own_mask": (_LAYERS, _OPS, "jaxdl/keys.py"),
    },
    "test_learner.py": {
        "test_the_schedule_takes_one_step_an_update[sgd-4": (_LEARNER, "jaxdl/optim/"),
        "test_the_schedule_takes_one_step_an_update[adamw-1": (_LEARNER, "jaxdl/optim/"),
    },
    "test_length_groups.py": {
        "test_figures_are_the_same_in_any_lengths": (
            "jaxdl/data/length_groups.py", "jaxdl/data/split.py", "jaxdl/tasks/",
        ),
        "test_eight_devices_learn_and_evaluate_as_one_does": (_PARALLEL, *_READERS),
        "test_figures_of_words_spans_and_targets_are": _READERS,
        "test_members_of_a_population_are": (*_MEMBERS, "jaxdl/data/"),
        "test_a_run_resumes_to_the_bit": (_TRAIN, _RUNS, "jaxdl/data/", "jaxdl/experiment/"),
    },
    "test_lr_find.py": {
        "test_eight_devices_find_the_same_curve[pmap": ("jaxdl/train/lr_find.py", _PARALLEL),
        "test_losses_are_those_of_single_calls_however_many_fit_into_memory[7": (_TRAIN,),
        "test_eight_devices_find_the_same_curve[jit]": ("jaxdl/train/lr_find.py", _PARALLEL),
        "test_losses_are_those_of_single_calls_however_many_fit_into_memory[24]": (
            "jaxdl/train/lr_find.py",
        ),
        "test_the_mode_prints_and_writes_a_page_and_the_numbers[dcgan": (
            "jaxdl/train/lr_find.py", "jaxdl/tasks/adversarial.py",
        ),
        "test_the_mode_prints_and_writes_a_page_and_the_numbers[ppo": ("jaxdl/launch/", _TRAIN),
    },
    "test_made_of_pictures.py": {
        "test_what_cannot_be_used_is_one_clear_line": (*_DIFFUSION, "jaxdl/inference/"),
        "test_what_is_known_stays_and_the_rest_comes": (*_DIFFUSION,),
        "test_classes_are_asked_for_and_the_run_stays": (*_DIFFUSION, *_COMMAND, _RUNS),
        "test_what_is_between_two_pictures_is_shown": (*_DIFFUSION, "jaxdl/generate/"),
        "test_pictures_are_completed_where_they_are_masked": (
            *(*_DIFFUSION, "jaxdl/generate/", "jaxdl/inference/"),
            *("jaxdl/tasks/shared/made_of_pictures.py", "jaxdl/tasks/shared/own_pictures.py"),
        ),
        "test_what_is_known_has_no_say_where_all_is_missing": ("jaxdl/generate/inpainting.py",),
        "test_with_little_noise_the_ends_are": ("jaxdl/generate/interpolation.py",),
    },
    "test_masked_language_modelling.py": {
        "test_the_report_shows_what_was_said": ("jaxdl/report/", "jaxdl/tasks/"),
        "test_figures_are_of_the_same_tokens_in_any_batches_and_runs[{'eval.batch_size': 7": (
            "jaxdl/tasks/masked_language_modelling.py", "jaxdl/data/masking.py",
        ),
        "test_figures_are_of_the_same_tokens_in_any_batches_and_runs[{}": (
            "jaxdl/tasks/masked_language_modelling.py", "jaxdl/data/masking.py",
        ),
        "test_eight_devices_hide_what_one_does": (_PARALLEL, *_READERS),
        "test_figures_are_of_the_same_tokens_in_any_batches_and_runs[{'data": _READERS,
    },
    "test_masking.py": {
        "test_words_are_hidden_whole_while_they_fit": ("jaxdl/data/masking.py",),
        "test_as_many_tokens_are_chosen_as_the_rate_says_and_no_special_one[1.0": (
            "jaxdl/data/masking.py",
        ),
        "test_as_many_tokens_are_chosen_as_the_rate_says_and_no_special_one[0.01": (
            "jaxdl/data/masking.py",
        ),
        "test_a_text_is_hidden_alike_in_any_batch": ("jaxdl/data/masking.py",),
    },
    "test_mobilevit.py": {
        "test_what_transformers_has_built_in_otherwise": ("mobilevit", _PRETRAINED),
        "test_parameter_count_is_the_published_one[mobilevit]": ("mobilevit", _LAYERS),
        "test_maps_have_their_strides_at_sizes_that_do_not_divide": (
            "jaxdl/models/mobilevit.py", _LAYERS,
        ),
        "test_settings_are_read_as_they_are_written": ("mobilevit", _PRETRAINED),
        "test_parameter_count_is_the_published_one[mobilevit_": ("mobilevit", _LAYERS),
    },
    "test_model_curvature.py": {
        f"{test}]": (_OPS, _LAYERS, _MODELS)
        for test in (
            *(f"test_hessian_vector_product[{name}" for name in _CURVED),
            "test_reverse_over_reverse_is_forward_over_reverse[deep_cnn",
            "test_reverse_over_reverse_is_forward_over_reverse[gpt",
            "test_hessian_vector_product_is_there[coatnet",
            "test_hessian_vector_product_is_there[efficientnet",
            "test_hessian_vector_product_is_there[googlenet",
            "test_hessian_vector_product_is_there[inception",
            "test_hessian_vector_product[gru_lm",
            "test_hessian_vector_product[lenet",
            "test_hessian_vector_product[autoencoder",
        )
    }
    | {
        "test_hessian_vector_product[lstm_rows]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[convnext]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[resnet]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[alexnet]": (_OPS, _LAYERS, _MODELS),
        **{
            f"test_hessian_vector_product[{name}]": (_OPS, _LAYERS, f"{_MODELS}{name}.py")
            for name in ("gat", "gin", "graphsage")
        },
        "test_hessian_vector_product[actor_critic]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[faster_rcnn]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[inception_v3]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product_is_there[yolov3]": (_OPS, _LAYERS, _MODELS),
        "test_hessian_vector_product[rnn_forecaster]": (_OPS, _LAYERS, _MODELS),
    },
    "test_models.py": {
        "test_compiled_gradient_is_that_of_float64_one_operation_at_a_time[mlp": (
            _OPS, _LAYERS, _MODELS,
        ),
        "test_compiled_gradient_is_that_of_float64_one_operation_at_a_time[deep_cnn]": (_OPS,),
    },
    "test_ops_attention.py": {
        "test_gradients_hold_under_vmap_inside_scan_and_twice": (
            "jaxdl/ops/attention_cpu.py", "jaxdl/ops/attention.py",
        ),
        "test_the_tpus_kernel_is_the_reference[False]": (
            "jaxdl/ops/attention_tpu.py", "jaxdl/ops/attention.py",
        ),
        "test_the_cpus_form_is_the_reference": (_OPS,),
        "test_the_tpus_kernel_is_the_reference[True": (_OPS,),
    },
    "test_ops_convolution.py": {
        "test_the_gradient_of_a_gradient[groups": (_OPS,),
        "test_the_gradient_of_a_gradient[many channels": (_OPS,),
        "test_the_gradient_of_a_gradient[1x1": (_OPS,),
        "test_forms_hold_under_vmap_and_inside_scan[many channels": (_OPS,),
        "test_forms_hold_under_vmap_and_inside_scan[patches": (_OPS,),
        "test_forms_hold_under_vmap_and_inside_scan[depthwise": (_OPS,),
        "test_winograd_is_within_its_stated_bound": ("jaxdl/ops/winograd.py",),
    },
    "test_ops_dropout.py": {
        "test_the_rate_is_not_rounded": (_OPS,),
    },
    "test_ops_pooling.py": {
        "test_means_leave_out_the_padding_where_it_is_not_counted[form-size0": (_OPS,),
        "test_pools_hold_under_vmap_and_inside_scan[form-2-2-0": (_OPS,),
        "test_pools_hold_under_vmap_and_inside_scan[reference": (_OPS,),
        "test_pools_and_their_gradients_with_ties": ("jaxdl/ops/pooling.py",),
        "test_max_pool_of_more_than_256_places": (_OPS,),
    },
    "test_ops_graph_rows.py": {
        "test_networks_say_the_same_by_rows": (_OPS, _LAYERS, _MODELS),
    },
    "test_ops_segments.py": {
        "test_derivatives_of_any_order": ("jaxdl/ops/segments.py", "jaxdl/ops/graph.py"),
    },
    "test_ops_recurrent.py": {
        "test_bf16_goes_in_and_out_with_gates_in_float32[gru": (_OPS, _LAYERS),
        "test_bf16_goes_in_and_out_with_gates_in_float32[rnn_tanh": (_OPS, _LAYERS),
        "test_padding_changes_nothing[gru-False": (_OPS, _LAYERS),
        "test_padding_changes_nothing[rnn_tanh": (_OPS, _LAYERS),
        "test_float32_is_within_a_few_roundings_of_float64[rnn": (_OPS, _LAYERS),
        "test_no_step_sees_a_later_one[rnn": (_OPS, _LAYERS),
        "test_float32_is_within_a_few_roundings_of_float64[gru": (_OPS, _LAYERS),
        "test_no_step_sees_a_later_one[gru": (_OPS, _LAYERS),
        "test_gradients_hold_under_vmap_inside_scan_and_twice[lstm]": ("jaxdl/ops/recurrent.py",),
        "test_padding_changes_nothing[lstm-False]": ("jaxdl/ops/recurrent.py",),
        "test_the_written_out_gradient_is_that_of_the_scan": (_OPS, _LAYERS),
        "test_gradients_hold_under_vmap_inside_scan_and_twice[gru]": (_OPS, _LAYERS),
        "test_layers_give_their_shapes_and_parameters[LSTM-4-2]": (_OPS, _LAYERS),
    },
    "test_optimizers_benchmark.py": {
        "test_comparison_from_end_to_end": ("benchmarks/", "experiments/optimizers.py"),
    },
    "test_parallel.py": {
        "test_microbatches_on_several_devices": (_PARALLEL, _LEARNER),
        "test_sgd_gives_the_same_parameters_on_any_mesh[mlp-tensor]": (_PARALLEL, _TRAIN, _LEARNER),
        "test_sgd_gives_the_same_parameters_on_any_mesh[mlp-pmap]": (_PARALLEL, _TRAIN, _LEARNER),
        "test_sgd_gives_the_same_parameters_on_any_mesh[mlp-fsdp]": (_PARALLEL, _TRAIN, _LEARNER),
        "test_checkpoint_moves_between_meshes": (_PARALLEL, _RUNS),
        "test_adamw_gives_the_same_losses_on_any_mesh": (_PARALLEL, _LEARNER),
        "test_sgd_gives_the_same_parameters_on_any_mesh[deep_cnn": (_PARALLEL, _LEARNER),
        "test_sgd_gives_the_same_parameters_on_any_mesh[vit": (_PARALLEL, _LEARNER, _LAYERS),
    },
    "test_plan.py": {
        "test_mode_plan_prints_and_writes_one_file_if_asked": (_PLAN, "jaxdl/launch/"),
        "test_the_plan_is_of_the_very_program_that_the_loop_compiles[flags0]": (
            _PLAN, _TRAIN, _PARALLEL,
        ),
        "test_remat_changes_neither": (_PLAN, _MODELS),
        "test_fsdp_is_proposed": (_PLAN,),
        "test_what_does_not_fit": (_PLAN,),
        "test_remat_keeps_less": (_PLAN, _MODELS),
        "test_bytes_a_chip_follow_the_mesh": (_PLAN, _PARALLEL, _MODELS),
        "test_flops_are_the_same_with_any_number": (_PLAN, _LEARNER),
        "test_the_plan_is_of_the_very_program_that_the_loop_compiles[flags1": (_PLAN, _TRAIN),
    },
    "test_predict.py": {
        "test_arrays_are_taken_as_the_model_sees_them": ("jaxdl/inference/",),
        "test_a_run_says_what_pictures_are": ("jaxdl/inference/",),
        "test_a_published_folder_says_what_a_picture_is": ("jaxdl/inference/", _PRETRAINED),
        "test_a_published_file_is_named_with_its_model": (_PRETRAINED, "jaxdl/inference/"),
        "test_one_of_a_population_is_asked": (*_MEMBERS, "jaxdl/inference/"),
    },
    "test_pretrained_images.py": {
        "test_another_number_of_classes_has_a_new_head": (_PRETRAINED, _MODELS),
    },
    "test_pretrained_language.py": {
        "test_another_head_is_new_and_the_rest_is_the_files": _TEXTS,
        **{
            f"test_what_is_saved_has_the_same_bits_and_is_read_again[{case}": _TEXTS
            for case in (
                *("bert_classifier]", "bert_masked_lm]", "bert_model]", "bert_span]"),
                *("bert_tagger]", "bart_model]", "t5_encoder]", "t5]"),
            )
        },
        "test_copies_are_read": _TEXTS,
        "test_shards_are_one": _TEXTS,
        "test_a_head_that_is_missing": _TEXTS,
        "test_an_encoder_comes_out": _TEXTS,
    },
    # Of each file of tasks one experiment is left.
    "test_promotion.py": {
        "test_tasks_and_what_they_average_promote_nothing[style:feed_forward": (*_ALL, *_STYLED),
        "test_tasks_and_what_they_average_promote_nothing[cyclegan": (*_ALL, *_TRANSLATED),
    }
    | {
        f"test_tasks_and_what_they_average_promote_nothing[{name}]": _AVERAGED
        for name in ("gcn:digits", "lstm", "transfer", "bart", "stylegan2")
    }
    | {
        "test_tasks_and_what_they_average_promote_nothing[bert]": _AVERAGED,
    }
    | {
        "test_tasks_and_what_they_average_promote_nothing[ddpm]": _AVERAGED,
        "test_tasks_and_what_they_average_promote_nothing[bert:tag]": _AVERAGED,
        "test_tasks_and_what_they_average_promote_nothing[t5:numbers]": _AVERAGED,
        "test_tasks_and_what_they_average_promote_nothing[wgan]": _AVERAGED,
        "test_tasks_and_what_they_average_promote_nothing[bert:answer]": _AVERAGED,
        "test_tasks_and_what_they_average_promote_nothing[bert:classify]": _AVERAGED,
    },
    "test_pmap.py": {
        "test_devices_draw_each_their_own[ddpm]": (*_DIFFUSION, _PARALLEL),
        "test_devices_keep_one_state[dcgan": (_PARALLEL, *_ADVERSARIAL),
        "test_devices_draw_each_their_own[stylegan2": (*_STYLEGAN, _PARALLEL),
    },
    "test_population.py": {
        "test_a_population_all_of_which_fails": (*_MEMBERS, _TRAIN),
        "test_what_the_step_can_take_as_a_traced_number_can_be_swept[vit-model.drop_path": _MEMBERS,
        "test_what_the_step_can_take_as_a_traced_number_can_be_swept[dcgan": _MEMBERS,
        "test_member_that_fails_leaves_the_others_as_they_are": (*_MEMBERS, _TRAIN),
        "test_a_member_goes_on_and_is_evaluated_as_a_run_of_its_own": _MEMBERS,
        "test_member_that_stops_early_freezes_as_it_would_by_itself": _MEMBERS,
        "test_on_eight_devices_it_is": _MEMBERS,
        "test_members_equal_runs_by_themselves[ppo]": (*_MEMBERS, "jaxdl/tasks/ppo.py"),
        "test_members_equal_runs_by_themselves[a2c]": (*_MEMBERS, *_GRADIENT),
        "test_every_experiment_can_be_a_population": _MEMBERS,
        **{
            f"test_members_equal_runs_by_themselves[{name}]": (*_MEMBERS, name)
            for name in ("gat", "gcn", "gin", "graphsage")
        },
        "test_parts_that_go_one_after_the_other": _MEMBERS,
        "test_what_the_step_can_take_as_a_traced_number_can_be_swept[ddpm": (
            *_MEMBERS,
            *_DIFFUSION,
        ),
    },
    "test_policy_gradient.py": {
        "test_devices_change_no_number": (*_GRADIENT, _PARALLEL),
        "test_a_stale_gradient_moves_the_newest_parameters": (*_GRADIENT, _LEARNER),
        "test_the_clock_ends_no_values_and_the_rules_do[True": _GRADIENT,
        "test_the_clock_ends_no_values_and_the_rules_do[False-0]": _GRADIENT,
        "test_reinforce_plays_an_episode_in_each_environment_and_goes_on": (*_GRADIENT, _RUNS),
    },
    "test_ppo.py": {
        "test_the_model_is_what_its_page_says": (*_PPO,),
        "test_before_any_update_the_policy_is_the_one_that_acted": _PPO,
        "test_returns_of_finished_episodes_are_reported": _PPO,
        "test_it_learns": ("ppo", "jaxdl/control/", "jaxdl/envs/"),
        "test_devices_change_no_number": ("ppo", "jaxdl/control/", _PARALLEL),
        "test_microbatches_change_no_number": ("ppo", _LEARNER),
    },
    "test_precision.py": {
        "test_an_update_in_bf16_is_near_the_one_in_float32[gcn]": (
            "jaxdl/precision.py", "jaxdl/models/gcn.py", "jaxdl/layers/graph.py", _OPS,
        ),
        "test_an_update_in_bf16_is_near_the_one_in_float32[vit]": (
            "jaxdl/precision.py", "jaxdl/models/vit.py", _LAYERS, _OPS,
        ),
        "test_an_update_in_bf16_is_near_the_one_in_float32[ddpm]": _DIFFUSION,
        "test_an_update_in_bf16_is_near_the_one_in_float32[dcgan]": _ADVERSARIAL,
        "test_an_update_in_bf16_is_near_the_one_in_float32[ppo]": ("jaxdl/tasks/ppo.py",),
        "test_an_update_in_bf16_is_near_the_one_in_float32[dqn]": ("jaxdl/tasks/dqn.py",),
        "test_an_update_in_bf16_is_near_the_one_in_float32[a2c]": _GRADIENT,
    },
    "test_q_learning.py": {
        "test_learners_reach_the_optimum": (
            "jaxdl/tasks/q_learning.py", "jaxdl/control/", "jaxdl/envs/",
        ),
        "test_episodes_end_at_the_time_limit_and_count_once": (
            "jaxdl/tasks/q_learning.py", "jaxdl/envs/",
        ),
        "test_one_device_equals_eight": ("q_learning", _PARALLEL),
    },
    "test_readme.py": {
        "test_custom_experiment_is_short_and_learns": (
            *("docs/research.md", "jaxdl/experiment/"), _TRAIN,
        ),
        "test_curvature_is_that_of_differences_of_the_gradient": ("docs/research.md", _OPS),
        "test_snippet_runs_as_shown[print({stride": ("docs/research.md", _MODELS, _LAYERS),
        "test_snippet_runs_as_shown[print(jaxdl.models.names()": ("README.md", _MODELS, _LAYERS),
        "test_snippet_runs_as_shown[texts, scores": (
            *("docs/research.md", "jaxdl/generate/"), _MODELS,
        ),
    },
    "test_recognising.py": {
        "test_the_report_tells_the_worst_first_and_plays_it": ("jaxdl/report/", "jaxdl/tasks/"),
        "test_the_loss_is_of_the_keys_alone_without_their_end": (
            "jaxdl/tasks/transcription.py", "jaxdl/data/", "jaxdl/losses/",
        ),
        "test_what_is_learned_from_is_drawn_by_the_key": ("jaxdl/tasks/shared/", "jaxdl/data/"),
        "test_resumed_is_uninterrupted_to_the_bit": (
            *("jaxdl/tasks/transcription.py", "jaxdl/models/whisper.py", "jaxdl/data/drawn.py"),
        ),
        "test_what_is_padding_of_a_batch": ("jaxdl/tasks/", "jaxdl/models/whisper.py", _LAYERS),
    },
    "test_recurrent_models.py": {
        "test_an_images_rows_are_a_sequence_that_may_end_early[lstm-True": (_OPS, _LAYERS, _MODELS),
        "test_an_images_rows_are_a_sequence_that_may_end_early[rnn-False": (_OPS, _LAYERS, _MODELS),
        "test_an_images_rows_are_a_sequence_that_may_end_early[gru-False": (_OPS, _LAYERS, _MODELS),
        "test_what_is_behind_an_examples_end_leaves_no_trace[rnn": (_OPS, _LAYERS, _MODELS),
        "test_what_is_behind_an_examples_end_leaves_no_trace[gru-True": (_OPS, _LAYERS, _MODELS),
        "test_what_is_behind_an_examples_end_leaves_no_trace[lstm-False": (_OPS, _LAYERS, _MODELS),
        "test_bf16_computes_in_bf16_over_float32_parameters": (
            "jaxdl/ops/recurrent.py", "jaxdl/layers/recurrent.py",
        ),
        "test_no_logit_has_a_gradient_from_a_later_token[gru]": ("jaxdl/ops/recurrent.py",),
        "test_no_logit_has_a_gradient_from_a_later_token[rnn]": ("jaxdl/ops/recurrent.py",),
        "test_eight_devices_learn_what_one_does": (_PARALLEL,),
        "test_texts_by_the_cache_are_those_without[lstm": ("jaxdl/generate/", _LAYERS, _MODELS),
        # Both directions are of all cells: of two the one that goes forward is left.
        "test_an_images_rows_are_a_sequence_that_may_end_early[gru-True": (_OPS, _LAYERS, _MODELS),
        "test_an_images_rows_are_a_sequence_that_may_end_early[rnn-True": (_OPS, _LAYERS, _MODELS),
    },
    "test_process.py": {
        "test_memory_that_a_long_compilation_has_freed": ("jaxdl/process.py",),
    },
    "test_image_quality.py": {
        "test_derivatives_are_those_of_differences[ssim": ("jaxdl/metrics/image_quality.py",),
    },
    "test_image_to_image.py": {
        "test_scores_are_of_whole_pictures": (*_LARGER,),
        "test_a_run_that_was_cut": (*_LARGER, _RUNS),
        "test_eight_devices_learn_and_measure_as_one_does": (*_LARGER, _PARALLEL),
        "test_the_program_takes_any_size": (*_LARGER, _OPS),
        "test_colours_are_enlarged_bicubically": (*_LARGER, _OPS),
        "test_tiles_have_the_bits_of_the_whole_picture[edsr": (*_LARGER, _OPS),
        "test_tiles_have_the_bits_of_the_whole_picture[espcn-37": (*_LARGER, _OPS),
        "test_a_run_begins_with_published_weights": (*_LARGER, _PRETRAINED),
    },
    "test_sarsa.py": {
        "test_q_learning_walks_along_the_edge_and_sarsa_keeps_off_it": (
            "jaxdl/tasks/q_learning.py", "jaxdl/control/", "jaxdl/envs/tabular.py",
        ),
        "test_the_update_is_the_published_one[expected]": (
            "jaxdl/tasks/q_learning.py", "jaxdl/control/",
        ),
        "test_sarsa_goes_on_and_is_the_same_on_eight_devices": ("q_learning", _PARALLEL, _RUNS),
    },
    "test_style.py": {
        "test_published_weights_see_what_they_learned_to_see": (*_STYLED, _PRETRAINED, _OPS),
        "test_the_network_is_the_published_one_and_its_files": (*_STYLED, _LAYERS, _OPS),
        "test_what_pictures_cannot_be_seen_by_is_one_line[how1": (*_STYLED, _PRETRAINED),
        "test_the_packages_own_network_has_learned_what_textures_are": (*_STYLED, _PRETRAINED),
    },
    "test_style_transfer.py": {
        "test_tiles_are_of_parts": ("jaxdl/data/photograph_tiles.py", "jaxdl/data/photographs.py"),
        "test_a_style_that_is_not_there_is_one_line_before_anything_begins[style]": (
            *_STYLED, "jaxdl/launch/",
        ),
        "test_a_pictures_run_that_was_cut": (*_STYLED, _RUNS),
        "test_a_networks_run_that_was_cut": (*_STYLED, _RUNS),
        "test_accumulated_microbatches": (*_STYLED, _LEARNER),
        "test_the_picture_itself_is_what_an_update_changes": (*_STYLED, _LEARNER),
        "test_the_networks_loss_is_of_what_it_makes": (*_STYLED, _LEARNER),
        "test_a_style_that_is_not_there_is_one_line_before_anything_begins[style:": (
            *_STYLED, "jaxdl/launch/",
        ),
        "test_eight_devices_learn_and_measure_as_one_does": (*_STYLED, _PARALLEL),
        "test_pictures_of_several_weights_are_a_population": (*_STYLED, "jaxdl/experiment/"),
        "test_a_run_that_learned_to_classify_is_what_another_sees_by": (*_STYLED, _PRETRAINED),
    },
    "test_image_translation.py": {
        "test_a_run_that_was_cut": (*_TRANSLATED, _RUNS),
        "test_eight_devices_learn_and_measure_as_one_does": (*_TRANSLATED, _PARALLEL),
        "test_cyclegan_minimises_what_the_authors_code_does": _TRANSLATED,
        "test_pix2pix_minimises_what_the_authors_code_does": _TRANSLATED,
    },
    "test_stylegan2.py": {
        "test_noise_styles_and_truncation_reach_the_image": (*_STYLEGAN, _OPS),
        "test_path_lengths_are_of_the_jacobian": (*_STYLEGAN, _OPS),
        "test_real_and_generated_images_are_judged_apart[6": (*_STYLEGAN,),
        "test_styles_are_of_two_latent_vectors": (*_STYLEGAN,),
        "test_images_are_doubled_bilinearly": (*_STYLEGAN, _OPS),
        "test_equalised_layers_scale": (*_STYLEGAN,),
        "test_filtering_is_that_of_the_definition[how1": (_OPS,),
        "test_filtering_is_that_of_the_definition[how2": (_OPS,),
        "test_filtering_is_that_of_the_definition[how4": (_OPS,),
        "test_filtering_is_that_of_the_definition[how5": (_OPS,),
        "test_a_joined_convolution_is_both_in_turn[3": (_OPS,),
        "test_modulation_is_a_kernel_for_each_example[True-conv_upsampled": (_OPS,),
        "test_a_run_that_was_cut": (*_STYLEGAN, _RUNS),
        "test_eight_devices_learn": (*_STYLEGAN, _PARALLEL),
        "test_the_penalties_own_gradients": (*_STYLEGAN, _OPS),
        "test_without_regularisations": (*_STYLEGAN, _LEARNER),
        "test_regularisations_are_made": (*_STYLEGAN, _LEARNER),
        "test_rates_that_are_told": (*_STYLEGAN, _LEARNER),
        "test_the_first_updates_of_regularisation": (*_STYLEGAN, _LEARNER),
        "test_penalties_and_their_gradients": (*_STYLEGAN, _OPS),
        "test_parameters_are_the_published_ones[stylegan2_1024": _STYLEGAN,
    },
    "test_translation.py": {
        "test_values_gradients_and_statistics_are_those_of_the_published_definition[cyclegan": (
            f"{_MODELS}cyclegan.py", _LAYERS,
        ),
        "test_values_gradients_and_statistics_are_those_of_the_published_definition[pix2pix": (
            f"{_MODELS}pix2pix.py", _LAYERS,
        ),
    }
    | {
        f"test_{name}": (*_TRANSLATED, _LAYERS, _OPS, _PRETRAINED)
        for name in (
            *(
                f"values_gradients_and_statistics_are_those_of_the_published_definition[{case}"
                for case in ("cyclegan_batch", "pix2pix_instance", "patchgan_instance", "patchgan]")
            ),
            "parameters_are_the_published_ones[pix2pix_128",
            "parameters_are_the_published_ones[cyclegan_6",
            "files_from_before_pytorch_0_4_and_of_several_devices_are_read",
            "dropout_moves_the_second_convolution",
        )
    },
    "test_progress.py": {
        "test_terminal_shows_step_figures_speed_and_time_left": (
            "jaxdl/train/progress.py", "jaxdl/train/loop.py",
        ),
        "test_plain_lines_elsewhere": (_TRAIN, _RUNS, *_COMMAND),
    },
    "test_segmentation.py": {
        "test_masks_of_files_are_as_large_as_these": ("jaxdl/tasks/", "jaxdl/data/"),
        "test_weights_that_do_not_fit_are_one_line[--config.model.backbone=vgg11": (
            _PRETRAINED, "jaxdl/tasks/",
        ),
        "test_otherwise_masks_are_cut_to_the_middle": ("jaxdl/tasks/segmentation.py",),
        "test_images_are_mirrored_so_that_all_pixels_are_told": ("jaxdl/tasks/",),
        "test_masks_go_where_augmented_images_go[{'mosaic'": (
            *_AUGMENT, "jaxdl/tasks/segmentation.py",
        ),
        "test_masks_go_where_augmented_images_go[{'flip'": (
            "jaxdl/tasks/segmentation.py", "jaxdl/data/augment/",
        ),
    }
    | dict.fromkeys(
        (
            "test_a_run_that_was_cut_ends_like_one_that_was_not_and_is_of_use",
            "test_eight_devices_learn_and_measure_as_one_does",
            "test_a_backbone_is_the_classifiers_frozen_and_then_not",
        ),
        (
            *("jaxdl/tasks/segmentation.py", "jaxdl/tasks/shared/", "jaxdl/models/unet.py"),
            *("jaxdl/pretrained/backbones.py", _RUNS, _PARALLEL, _LEARNER),
        ),
    ),
    "test_resnet.py": {
        "test_order_of_norm_and_activation": ("resnet", _LAYERS),
        "test_without_classes_it_gives_the_pooled_features": ("jaxdl/models/resnet.py", _LAYERS),
    },
    "test_super_resolution.py": {
        "test_pictures_and_gradients_are_those_of_the_published_definition[edsr_4": (*_LARGER,),
    }
    | {
        f"test_{name}": (f"{_MODELS}edsr.py", f"{_MODELS}espcn.py", _LAYERS, _OPS)
        for name in (
            *(f"parameters_and_pictures_are_the_papers[edsr-{scale}" for scale in (2, 3, 4)),
            "parameters_and_pictures_are_the_papers[edsr_baseline-3",
            "parameters_and_pictures_are_the_papers[edsr_baseline-4",
            "pictures_and_gradients_are_those_of_the_published_definition[espcn_2",
            "pictures_and_gradients_are_those_of_the_published_definition[edsr_3",
            "pictures_and_gradients_are_those_of_the_published_definition[edsr_2",
            "reach_is_how_far_a_pixel_is_seen[4",
            "published_weights_see_pictures_of_bytes[4",
        )
    },
    "test_tasks.py": {
        "test_what_names_the_best_checkpoint_of_each_kind_has_a_direction[style": (
            *_STYLED, "jaxdl/metrics/",
        ),
        "test_what_names_the_best_checkpoint_of_each_kind_has_a_direction[transcription": (
            "jaxdl/tasks/transcription.py", "jaxdl/metrics/",
        ),
        "test_between_scores_the_rest_is_evaluated_and_the_best_stays": (
            "jaxdl/tasks/shared/", _TRAIN,
        ),
    }
    | {
        f"test_what_names_the_best_checkpoint_of_each_kind_has_a_direction[{name}]": (
            "jaxdl/tasks/", "jaxdl/metrics/",
        )
        for name in ("text_classification", "token_classification", "ctc")
    },
    "test_text_classification.py": {
        "test_embeddings_are_the_means_of_features_of_length_1": (
            "jaxdl/inference/embeddings.py", *_READERS,
        ),
        "test_figures_are_means_over_every_text": _READERS,
        "test_answers_are_the_same_as_a_batch_gives": _READERS,
    },
    "test_tpu_setup.py": {
        f"test_{name}": ("tpu_setup.sh",)
        for name in (
            *("missing_python_comes_from_apt", "second_run_installs", "wrong_platform_is"),
            *("every_device_is_counted", "changed_requirements", "flaky_installation"),
        )
    },
    "test_question_answering.py": {
        "test_there_is_always_an_answer_where_none_was_missing_in_training[asked0-True": (
            *_READERS,
        ),
        "test_figures_are_those_of_the_best_window": _READERS,
        "test_eight_devices_learn_and_evaluate_as_one_does": (_PARALLEL,),
    },
    "test_sound_classification.py": {
        "test_a_run_that_was_cut": (_TRAIN, _RUNS, *_SOUNDS),
        "test_a_report_shows": ("jaxdl/tasks/sound_classification.py", "jaxdl/report/"),
        "test_sounds_of_ones_own": (*_SOUNDS, "jaxdl/inference/", *_COMMAND),
        "test_sounds_decoded_on_the_way": (*_SOUNDS, _TRAIN),
    },
    "test_sequence_to_sequence.py": {
        "test_restoring_counts_hidden_tokens_of_whole_windows[bart": (
            "jaxdl/tasks/", "jaxdl/data/",
        ),
        "test_members_are_measured_each_for_itself": (
            *_MEMBERS, "jaxdl/tasks/sequence_to_sequence.py",
        ),
        "test_a_run_answers_texts_without_its_data": ("jaxdl/tasks/", "jaxdl/inference/"),
        "test_first_update_has_every_token_once_however_the_batch_is_cut": ("jaxdl/tasks/", _TRAIN),
        "test_two_devices_learn_measure_and_write_as_one_does": ("jaxdl/tasks/", _PARALLEL),
        "test_eight_devices_learn_what_one_does": (_PARALLEL, *_TEXTS),
    },
    "test_token_classification.py": {
        "test_figures_are_those_of_every_word": _READERS,
        "test_words_of_a_file_are_tagged_in_columns": (*_READERS, "jaxdl/inference/", "bert"),
        "test_eight_devices_learn_and_evaluate_as_one_does": (_PARALLEL,),
    },
    "test_traced.py": {
        "test_an_update_computes_in_bf16_and_keeps_32_bits[gat]": (*_ALL,),
        "test_an_update_computes_in_bf16_and_keeps_32_bits[yolo": (
            "yolo", _LAYERS, _OPS, "jaxdl/precision.py",
        ),
    }
    | {
        f"test_an_update_computes_in_bf16_and_keeps_32_bits[{name}]": _ALL
        for name in (
            *("resnet:50", "efficientnet:b0", "transfer:pretrain", "gpt:S", "vae:2", "vae:16"),
            *("autoencoder:linear", "autoencoder:denoising", "autoencoder:anomaly", "vit:B/16"),
            *("wgan", "wgan:clip", "q_learning:taxi", "q_learning:cliff_walking", "ppo:acrobot"),
            *("q_learning:sarsa", "q_learning:expected_sarsa", "a2c:acrobot", "a2c", "reinforce"),
            "reinforce:plain",
            *("dcgan:wide", "dcgan:conditional", "wgan:wide"),
            *("alexnet", "coatnet", "cvt", "efficientnet", "googlenet", "lenet", "mobilevit"),
            *("transfer", "vgg", "autoencoder", "rnn:mackey_glass", "gru:digits", "gcn:digits"),
            *("gat:digits", "gin", "graphsage:digits", "gcn:links", "graphsage:links"),
            "gcn:anomaly",
            *("bert:classify", "bert:tag", "bert:answer", "t5", "bart", "optimizers", "convnext"),
            *("ppo:pendulum", "q_learning:frozen_lake_8x8", "lstm", "deep_cnn", "dcgan", "keys"),
        )
    }
    | {
        "test_an_update_computes_in_bf16_and_keeps_32_bits[whisper:ctc]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[whisper]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[faster_rcnn": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[yolo:yolov3]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[yolo:yolov3_tiny]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[unet:backbone]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[edsr": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[espcn": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[pix2pix": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[cyclegan": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[stylegan2": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[style": _ALL,
    }
    | {
        "test_an_update_computes_in_bf16_and_keeps_32_bits[ddpm]": _ALL,
    }
    | {
        "test_an_update_computes_in_bf16_and_keeps_32_bits[bert]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[t5:numbers]": _ALL,
        "test_an_update_computes_in_bf16_and_keeps_32_bits[resnet]": _ALL,
    },
    "test_timed_whisper.py": {
        "test_times_that_were_learned_are_told": (
            *("jaxdl/tasks/transcription.py", "jaxdl/tasks/shared/", "jaxdl/data/timed.py"),
            *("jaxdl/data/recordings.py", "jaxdl/generate/", "jaxdl/inference/"),
        ),
        "test_the_loss_is_that_of_transformers": (
            *("jaxdl/tasks/sequence_to_sequence.py", "jaxdl/models/whisper.py"),
            *("jaxdl/data/timed.py", "jaxdl/data/recordings.py"),
        ),
        "test_what_is_written_at_evaluation_tells_times": (
            "jaxdl/generate/", "jaxdl/tasks/shared/", "jaxdl/tasks/transcription.py",
        ),
    },
    "test_transcribe.py": {
        "test_padding_in_front_of_a_prompt": ("jaxdl/generate/", f"{_MODELS}whisper.py", _LAYERS),
        "test_segments_are_those_of_transformers[silence_1": (
            *_WRITTEN, "jaxdl/inference/transcribe.py",
        ),
        "test_segments_are_those_of_transformers[silence_0]": (
            "jaxdl/inference/", "jaxdl/generate/", "jaxdl/models/whisper.py",
        ),
        "test_a_folder_of_recordings_is_transcribed": (
            *("jaxdl/inference/", "jaxdl/generate/", _PRETRAINED, *_COMMAND),
        ),
    },
    "test_transfer.py": {
        "test_what_does_not_fit_is_one_line[changed0": (_PRETRAINED, "jaxdl/launch/"),
        "test_what_does_not_fit_is_one_line[changed1": (_PRETRAINED, "jaxdl/launch/"),
        "test_the_model_need_not_be_named_and_is_written_down": (
            _PRETRAINED, "jaxdl/config/", "jaxdl/experiment/",
        ),
        "test_the_head_stays_where_the_classes_are_the_same[classes1-False": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_images_are_standardised_as_published_when_the_file_is_gone": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_the_head_stays_where_the_classes_are_the_same[classes0-True": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_what_is_to_be_fresh_is_drawn_anew_and_the_rest_is_the_earlier_runs": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_images_are_standardised_as_published_and_grey_ones_have_all_colours": (
            _PRETRAINED, "jaxdl/tasks/classification.py", "jaxdl/data/preprocess.py",
        ),
        "test_a_published_head_stays_where_the_number_of_classes_is_its_own[classes1-False]": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_a_run_begins_with_the_best_of_an_earlier_one_and_a_new_head": (
            _PRETRAINED, "jaxdl/tasks/classification.py",
        ),
        "test_a_published_checkpoint_learns_a_folder_of_images": (
            _PRETRAINED, "jaxdl/tasks/classification.py", "jaxdl/data/folder.py",
        ),
        "test_evaluating_and_going_on_need_no_source": (_PRETRAINED, "jaxdl/experiment/"),
        "test_a_moving_average_is_what_is_taken": (_PRETRAINED,),
        "test_further_heads_add": (_PRETRAINED, "jaxdl/tasks/classification.py"),
        "test_a_head_of_the_same_classes": (_PRETRAINED, "jaxdl/tasks/classification.py"),
        "test_until_it_is_unfrozen": (_PRETRAINED, "jaxdl/optim/", _LEARNER),
        "test_a_frozen_phase_learns_the_head": (_PRETRAINED, "jaxdl/optim/", _LEARNER),
        "test_members_of_a_population_begin": (_PRETRAINED, *_MEMBERS),
        "test_a_published_head_stays_where_the_number_of_classes_is_its_own[classes0": (
            *(_PRETRAINED, "jaxdl/tasks/classification.py"),
        ),
    },
    "test_transformations.py": {
        **{f"test_loss[{name}": ("jaxdl/losses/",) for name in ("info_nce", "nt_xent", "triplet")},
        "test_loss[path_lengths": ("jaxdl/losses/",),
        "test_loss[parts": ("jaxdl/losses/",),
        "test_loss[losses]": ("jaxdl/losses/", _OPS),
        "test_loss[arcface]": ("jaxdl/losses/", _OPS),
        "test_loss[pixel_focal]": ("jaxdl/losses/", _OPS),
        "test_loss[kl_divergence]": ("jaxdl/losses/", _OPS),
        "test_loss[gradient_penalty": ("jaxdl/losses/",),
        "test_loss[dice": ("jaxdl/losses/",),
        "test_loss[stage_losses]": ("jaxdl/losses/", "jaxdl/ops/"),
        "test_operation": (_OPS,),
        "test_third_derivatives": (_OPS,),
        "test_loss[ctc]": ("jaxdl/losses/alignment.py",),
    },
    "test_transformer.py": {
        "test_relative_positions_depend_on_the_distance_only": (_LAYERS, _OPS),
        "test_cached_cross_attention_projects_its_context_once": (_LAYERS, _OPS),
        "test_rematerialised_block_has_the_same_gradient_and_dropout": (_LAYERS, _OPS),
    },
    "test_unet.py": {
        "test_its_activation_stands_behind_every_convolution": (f"{_MODELS}unet.py",),
        "test_the_head_may_see_each_pixel_beside_what_the_map_says[fields0": (
            f"{_MODELS}unet.py", _LAYERS,
        ),
        "test_sizes_that_an_unpadded_one_takes": (f"{_MODELS}unet.py", _LAYERS),
        "test_values_and_gradients_are_those_of_the_definition_in_torch[unpadded": (
            f"{_MODELS}unet.py", _LAYERS,
        ),
        "test_a_backbones_maps_are_seen_again_on_the_way_up": ("jaxdl/models/", _LAYERS),
        "test_the_head_may_see_each_pixel_beside_what_the_map_says[fields1": (
            "jaxdl/models/unet.py", _LAYERS,
        ),
        "test_patches_are_places_of_the_largest_map": ("jaxdl/models/unet.py", _LAYERS),
        "test_dropout_and_batch_norm_are_where_they_belong": ("jaxdl/models/unet.py", _LAYERS),
    }
    | {
        f"test_any_encoder_of_images_goes_down[{name}": (_MODELS, _LAYERS)
        for name in (
            *("vgg11", "vit_s16", "convnext_t", "efficientnet_b0", "googlenet", "cvt_13"),
            *("coatnet_0", "mobilevit_xxs"),
        )
    }
    | {"test_a_padded_one_takes_images_of_any_size": ("jaxdl/models/unet.py", _LAYERS)},
    "test_variational.py": {
        "test_vae_is_its_layers_one_after_the_other[pixel": (f"{_MODELS}vae.py",),
        "test_update_lowers_the_bound_of_float64": ("jaxdl/tasks/variational.py", _LEARNER),
        "test_bounds_of_a_linear_model_lie_below_its_exact_log_density_and_reach_it[True": (
            "jaxdl/tasks/variational.py", f"{_MODELS}vae.py",
        ),
        "test_anomaly_is_told_by_the_bound": ("jaxdl/tasks/variational.py",),
        "test_importance_weighted_bound_is_burda_grosse_and_salakhutdinovs": (
            "jaxdl/tasks/variational.py",
        ),
        "test_eight_devices_learn_what_one_does": (_PARALLEL,),
        "test_bf16_computes_in_bf16": _ALL,
    },
    "test_vgg.py": {
        "test_parameter_count_is_the_published_one[vgg19": ("vgg", _LAYERS),
        "test_parameter_count_is_the_published_one[vgg13": ("vgg", _LAYERS),
        "test_parameter_count_is_the_published_one[vgg11_bn": ("vgg", _LAYERS),
        "test_parameter_count_is_the_published_one[vgg16_bn": ("vgg", _LAYERS),
    },
    "test_vit.py": {
        "test_features_are_the_last_blocks_patches_where_they_stand_in_the_image[token]": (
            "jaxdl/models/vit.py", _LAYERS,
        ),
        "test_features_are_the_last_blocks_patches_where_they_stand_in_the_image[mean]": (
            "jaxdl/models/vit.py", _LAYERS,
        ),
        "test_without_classes_there_are_the_features": ("jaxdl/models/vit.py", _PRETRAINED),
        "test_googles_arrays_give_the_logits": ("jaxdl/models/vit.py", _PRETRAINED),
    },
    "test_whole_graphs.py": {
        "test_a_run_by_attention": ("gin", f"{_MODELS}gat.py", _LAYERS),
        "test_what_is_heard_in_a_batch_of_graphs_is_that_in_each[True-gat]": (
            _OPS, _LAYERS, _MODELS,
        ),
        "test_what_is_heard_in_a_batch_of_graphs_is_that_in_each[False-gat]": (
            _OPS, _LAYERS, _MODELS,
        ),
        "test_devices_and_time_change_no_number": ("gin", _PARALLEL, _TRAIN, _RUNS),
        "test_own_graphs_are_learned_and_then_asked_of": ("gin", "jaxdl/data/tudataset.py"),
        "test_packing_and_pooling_have_derivatives": (_OPS,),
        "test_padding_changes_nothing[batch-attention": ("gin", _LAYERS, _OPS),
        "test_logits_of_each_graph_are_those_of_the_formula[m": (f"{_MODELS}gin.py", _LAYERS),
    },
    "test_words.py": {
        "test_words_stand_in_their_segments": (
            "jaxdl/inference/", "jaxdl/generate/", f"{_MODELS}whisper.py", _LAYERS,
        ),
        "test_tokens_end_when_transformers_has_them_end": (
            "jaxdl/inference/", "jaxdl/generate/", f"{_MODELS}whisper.py", _LAYERS,
        ),
    },
    "test_x64.py": {
        "test_augmentation_draws_the_same[shift]": _AUGMENT,
        "test_augmentation_draws_the_same[all]": _AUGMENT,
        "test_runs_are_the_same[dqn]": ("jaxdl/tasks/dqn.py", "jaxdl/envs/"),
        "test_runs_are_the_same[ppo]": ("jaxdl/tasks/ppo.py", "jaxdl/envs/"),
        "test_runs_are_the_same[vae]": ("jaxdl/tasks/variational.py",),
        "test_augmentation_draws_the_same[mixup]": ("jaxdl/data/augment/",),
        "test_augmentation_draws_the_same[cutmix]": ("jaxdl/data/augment/",),
    },
    "test_whisper.py": dict.fromkeys(
        (
            *("test_frames_that_are_padding", "test_positions_are_the_files"),
            *("test_the_cache_gives", "test_a_bare_model_and_an_encoder_alone"),
            "test_logits_states_and_gradients_are_those_of_transformers",
        ),
        ("jaxdl/models/whisper.py", "jaxdl/models/encoder_decoder.py", _LAYERS, _PRETRAINED),
    ),
    "test_yolo.py": {
        "test_a_file_is_laid_out_as_darknet_has_it_and_read_as_torch_reads_it[yolov3_tiny": (
            _PRETRAINED, f"{_MODELS}yolov3.py",
        ),
        "test_what_a_classifier_of_darknets_has_learned_is_read_alone[neck-7": (
            _PRETRAINED, f"{_MODELS}yolov3.py",
        ),
    },
}  # fmt: skip


def files_of(file: str, test: str) -> tuple[str, ...] | None:
    """The files that a test of this file waits for; None if it is of every day."""
    for beginning, files in SELDOM.get(file, {}).items():
        if test.startswith(beginning):
            return files
    return None
